//! Fills a folder with a day of this machine's rows, one per second, as fast as they can be read: to see what an agent
//! with a full history takes.
//!
//! ```text
//! cargo run --release -p podscope-agent --example day_of_history -- /tmp/day
//! podscope-agent --data-dir /tmp/day
//! ```

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use podscope_agent::driver::Driver;
use podscope_agent::schedule::now_ms;
use podscope_agent::self_metrics::SelfCollector;
use podscope_agent::{Agent, AgentState, Config, Identity};
use podscope_history::{History, Options};
use podscope_model::event::{EventSink, NoSink};

const DAY_SECONDS: i64 = 86_400;

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("name a folder")?.into();
    let mut config = Config::default();
    config.gpu.enabled = false;
    let (history, _) = History::open(Options::new(folder))?;
    let state = AgentState::local(Identity::of_config(&config), Arc::new(history));
    let mut collectors = Agent::collectors(&config, &(Arc::new(NoSink) as Arc<dyn EventSink>))?;
    collectors.push(Box::new(SelfCollector::new(&state, true)));
    let mut drivers: Vec<(Driver, i64)> = collectors
        .into_iter()
        .map(|collector| {
            let (descriptor, interval) = (collector.descriptor(), collector.descriptor().interval_ms);
            let stream = state.add_stream(descriptor.name, descriptor.job, interval);
            (
                Driver::new(collector, stream),
                i64::try_from(interval).unwrap_or(1000),
            )
        })
        .collect();

    let begun = Instant::now();
    let end = now_ms() / 1000;
    for second in end - DAY_SECONDS..end {
        let tick = second * 1000;
        for (driver, interval) in &mut drivers {
            if tick % *interval == 0 {
                driver.tick(tick);
            }
        }
        if second % 60 == 0 {
            state.history().maintain(tick);
        }
    }
    state.history().seal()?;
    let stats = state.history().stats();
    writeln!(
        std::io::stdout(),
        "{} samples of {} series in {:.1} s: {} bytes in {} segments, {:.3} bytes per sample",
        stats.samples,
        stats.series,
        begun.elapsed().as_secs_f64(),
        stats.bytes_on_disk,
        stats.segments,
        stats.bytes_on_disk as f64 / stats.samples as f64,
    )?;
    Ok(())
}
