//! Nothing: the tests are all there is to this package.
