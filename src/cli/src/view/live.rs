//! A progress bar while the first list runs, then a block that keeps itself up to date.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use watchcache::reflector::Phase;

use super::text;
use crate::report::{Sample, waiting_for};

#[derive(Debug)]
pub(crate) struct Live {
    bar: ProgressBar,
    listing: bool,
}

impl Live {
    pub(crate) fn new(title: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        bar.set_style(style("{prefix:.bold}\n{spinner} listing {pos} objects"));
        bar.set_prefix(title.to_owned());
        Self { bar, listing: true }
    }

    pub(crate) fn show(&mut self, sample: &Sample) {
        let progress = &sample.progress;
        let first_list = sample.elapsed.is_zero();
        match (first_list, progress.total) {
            (true, Some(total)) => {
                self.bar.set_style(style(
                    "{prefix:.bold}\nlisting {bar:40.cyan} {human_pos} of {human_len} objects",
                ));
                self.bar.set_length(total);
                self.bar.set_position(progress.listed);
            }
            (true, None) => {
                if progress.phase == Phase::BackingOff {
                    self.bar.set_style(style("{prefix:.bold}\n{spinner} trying again: {wide_msg}"));
                    self.bar.set_message(waiting_for(progress));
                }
                self.bar.tick();
            }
            (false, _) => {
                if std::mem::take(&mut self.listing) {
                    self.bar.set_style(style("{prefix:.bold}\n{msg}"));
                }
                self.bar.set_message(text::block(sample));
                self.bar.tick();
            }
        }
    }

    pub(crate) fn note(&self, note: &str) {
        self.bar.set_style(style("{prefix:.bold}\n{spinner} {msg}"));
        self.bar.set_message(note.to_owned());
        self.bar.enable_steady_tick(std::time::Duration::from_millis(100));
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
