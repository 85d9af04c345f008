//! Runs every model, and every negative twin, each in a process of its own: a model keeps what it
//! frees, and a twin may end in an abort.
//!
//! `cargo test --release` takes a part of a name to run only what has it.

use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use watchcache_loom_tests::run::{become_twin, executions};
use watchcache_loom_tests::{MODELS, TWINS};

const CHILD: &str = "--child";

enum Job {
    Model(&'static str),
    Twin { name: &'static str, model: &'static str, fails: &'static str },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == CHILD
    {
        return child(name);
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| filter.is_none_or(|part| name.contains(part.as_str()));
    let models = MODELS.iter().map(|&(name, _)| Job::Model(name));
    let twins = TWINS.iter().map(|&(name, model, fails, _)| Job::Twin { name, model, fails });
    let jobs: Vec<Job> = models
        .chain(twins)
        .filter(|job| match job {
            Job::Model(name) => wanted(name),
            Job::Twin { name, model, .. } => wanted(name) || wanted(model),
        })
        .collect();

    println!("\nrunning {} models and twins", jobs.len());
    let (passed, failed) = run(&jobs);
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n"
    );
    if failed == 0 && passed == jobs.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(jobs: &[Job]) -> (usize, usize) {
    let (next, passed, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let output = Mutex::new(());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let verdict = job.run();
                    let took = start.elapsed();
                    let _turn = output.lock();
                    let count = if verdict.is_ok() { &passed } else { &failed };
                    count.fetch_add(1, Ordering::Relaxed);
                    report(job, &verdict, took);
                }
            });
        }
    });
    (passed.into_inner(), failed.into_inner())
}

fn report(job: &Job, verdict: &Result<String, String>, took: Duration) {
    let name = match job {
        Job::Model(name) => format!("model {name}"),
        Job::Twin { name, model, .. } => format!("twin  {name} of {model}"),
    };
    let seconds = took.as_secs_f64();
    match verdict {
        Ok(what) => println!("test {name} ... ok ({what}, {seconds:.1} s)"),
        Err(why) => println!("test {name} ... FAILED ({seconds:.1} s)\n{why}"),
    }
}

impl Job {
    fn run(&self) -> Result<String, String> {
        match self {
            Self::Model(name) => {
                let output = spawn(name);
                let stdout = String::from_utf8_lossy(&output.stdout);
                match stdout.lines().last() {
                    Some(executions) if output.status.success() => Ok(executions.to_owned()),
                    _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
                }
            }
            Self::Twin { name, fails, .. } => {
                let output = spawn(name);
                let stderr = String::from_utf8_lossy(&output.stderr);
                if fails.is_empty() {
                    return match output.status.success() {
                        true => Ok("passes as it must".to_owned()),
                        false => Err(stderr.into_owned()),
                    };
                }
                if output.status.success() {
                    return Err("it passes without the guard: the model does not see it".to_owned());
                }
                if !stderr.contains(fails) {
                    return Err(format!("it fails otherwise than by {fails:?}:\n{stderr}"));
                }
                Ok(format!("fails as it must: {fails}"))
            }
        }
    }
}

fn spawn(name: &str) -> Output {
    let this = std::env::current_exe().expect("this program has a path");
    Command::new(this)
        .args([CHILD, name])
        .stdin(Stdio::null())
        .output()
        .expect("this program can be started")
}

fn child(wanted: &str) -> ExitCode {
    let run = if let Some((_, run)) = MODELS.iter().find(|(name, _)| *name == wanted) {
        run
    } else if let Some((name, _, _, run)) = TWINS.iter().find(|(name, ..)| *name == wanted) {
        become_twin(name);
        run
    } else {
        return ExitCode::FAILURE;
    };
    run();
    println!("{} executions", executions());
    ExitCode::SUCCESS
}
