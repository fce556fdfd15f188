//! What a test has measured, as text.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::benchmark::options::{Format, Options};
use crate::percentiles::rows;

/// What one test has measured.
pub(crate) struct Results<'a> {
    pub(crate) title: &'a str,
    pub(crate) elapsed: Duration,
    /// In microseconds; one per request.
    pub(crate) latencies: &'a Histogram<u64>,
    /// CONFIG of each server: `save` and `appendonly`. `None` when it does not tell.
    pub(crate) servers: &'a [Option<(String, String)>],
}

/// Steps of the cumulative distribution up to [`FINE_UP_TO`], in microseconds.
const FINE: u64 = 100;

/// Steps beyond.
const COARSE: u64 = 1000;

const FINE_UP_TO: u64 = 2000;

/// Microseconds as milliseconds.
fn ms(micros: f64) -> f64 {
    micros / 1000.0
}

/// The heading of CSV.
pub(crate) const CSV_HEADING: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
                                      \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n";

impl Results<'_> {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn quantile(&self, quantile: f64) -> f64 {
        if self.latencies.is_empty() { 0.0 } else { ms(self.latencies.value_at_quantile(quantile) as f64) }
    }

    fn extremes(&self) -> (f64, f64) {
        if self.latencies.is_empty() {
            return (0.0, 0.0);
        }
        (ms(self.latencies.min() as f64), ms(self.latencies.max() as f64))
    }

    /// The whole report in the format that the options ask for.
    pub(crate) fn text(&self, options: &Options) -> String {
        let precision = options.precision;
        let average = ms(self.latencies.mean());
        let (least, most) = self.extremes();
        let [p50, p90, p95, p99, p999] = [0.5, 0.9, 0.95, 0.99, 0.999].map(|quantile| self.quantile(quantile));
        match options.format {
            Format::Quiet => {
                format!("{}: {:.2} requests per second, p50={p50:.precision$} msec\n", self.title, self.rate())
            }
            Format::Csv => format!(
                "\"{}\",\"{:.2}\",\"{average:.3}\",\"{least:.3}\",\"{p50:.3}\",\"{p95:.3}\",\"{p99:.3}\",\"{most:.3}\"\n",
                self.title.replace('"', "\"\""),
                self.rate()
            ),
            Format::Json => format!(
                "{{\"test\":{},\"requests\":{},\"seconds\":{:.3},\"rps\":{:.2},\"clients\":{},\"pipeline\":{},\
                 \"threads\":{},\"target_rps\":{},\"latency_ms\":{{\"avg\":{average:.3},\"min\":{least:.3},\
                 \"p50\":{p50:.3},\"p90\":{p90:.3},\"p95\":{p95:.3},\"p99\":{p99:.3},\"p99.9\":{p999:.3},\
                 \"max\":{most:.3}}}}}\n",
                json_string(self.title),
                self.latencies.len(),
                self.elapsed.as_secs_f64(),
                self.rate(),
                options.clients,
                options.pipeline,
                options.threads.unwrap_or(1),
                options.rate.map_or("null".to_owned(), |rate| rate.to_string()),
            ),
            Format::Full => {
                let mut out = self.heading(options);
                self.distribution(&mut out, precision);
                out.push_str(&format!(
                    "Summary:\n  throughput summary: {:.2} requests per second\n  latency summary (msec):\n",
                    self.rate()
                ));
                for name in ["avg", "min", "p50", "p95", "p99", "max"] {
                    out.push_str(&format!("{name:>width$}", width = if name == "avg" { 13 } else { 10 }));
                }
                out.push('\n');
                for (index, value) in [average, least, p50, p95, p99, most].into_iter().enumerate() {
                    out.push_str(&format!("{value:>width$.precision$}", width = if index == 0 { 13 } else { 10 }));
                }
                out.push('\n');
                out
            }
        }
    }

    fn heading(&self, options: &Options) -> String {
        let mut out = format!(
            "====== {} ======\n  {} requests completed in {:.2} seconds\n  {} parallel clients\n  {} bytes payload\n  \
             keep alive: {}\n",
            self.title,
            self.latencies.len(),
            self.elapsed.as_secs_f64(),
            options.clients,
            options.data_size,
            u8::from(options.keep_alive),
        );
        if options.cluster {
            out.push_str(&format!("  cluster mode: yes ({} masters)\n", self.servers.len()));
            for (index, server) in self.servers.iter().enumerate() {
                let (save, appendonly) = server.as_ref().map_or(("", ""), |(save, appendonly)| (save, appendonly));
                let save = if save.is_empty() { "NONE" } else { save };
                out.push_str(&format!(
                    "  node [{index}] configuration:\n    save: {save}\n    appendonly: {appendonly}\n"
                ));
            }
        } else if let [Some((save, appendonly))] = self.servers {
            out.push_str(&format!(
                "  host configuration \"save\": {save}\n  host configuration \"appendonly\": {appendonly}\n"
            ));
        }
        if let Some(rate) = options.rate {
            out.push_str(&format!("  open loop: {rate} requests per second\n"));
        }
        match options.threads {
            None => out.push_str("  multi-thread: no\n"),
            Some(threads) => out.push_str(&format!("  multi-thread: yes\n  threads: {threads}\n")),
        }
        out
    }

    fn distribution(&self, out: &mut String, precision: usize) {
        out.push_str("\nLatency by percentile distribution:\n");
        for row in rows(self.latencies) {
            out.push_str(&format!(
                "{:.3}% <= {:.precision$} milliseconds (cumulative count {})\n",
                row.percentile,
                ms(row.value as f64),
                row.cumulative
            ));
        }
        out.push_str("\nCumulative distribution of latencies:\n");
        let total = self.latencies.len();
        let mut recorded = self.latencies.iter_recorded().peekable();
        let (mut before, mut cumulative, mut limit) = (None, 0, FINE);
        loop {
            let value = self.latencies.highest_equivalent(limit);
            while let Some(step) = recorded.next_if(|step| step.value_iterated_to() <= value) {
                cumulative += step.count_since_last_iteration();
            }
            if before != Some(cumulative) {
                out.push_str(&format!(
                    "{:.3}% <= {:.precision$} milliseconds (cumulative count {cumulative})\n",
                    100.0 * cumulative as f64 / total.max(1) as f64,
                    ms(value as f64)
                ));
            }
            before = Some(cumulative);
            if cumulative >= total {
                break;
            }
            limit += if limit < FINE_UP_TO { FINE } else { COARSE };
        }
        out.push('\n');
    }
}

fn json_string(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::worker::histogram;

    fn results(format: Format) -> String {
        let mut latencies = histogram();
        for (micros, count) in [(47, 5), (120, 90), (450, 4), (2500, 1)] {
            latencies.record_n(micros, count).unwrap();
        }
        let server = [Some((String::new(), "no".to_owned()))];
        let elapsed = Duration::from_millis(500);
        let results = Results { title: "SE\"T", elapsed, latencies: &latencies, servers: &server };
        results.text(&Options { format, ..Options::default() })
    }

    #[test]
    fn every_format() {
        assert_eq!(results(Format::Quiet), "SE\"T: 200.00 requests per second, p50=0.120 msec\n");
        assert_eq!(
            results(Format::Csv),
            "\"SE\"\"T\",\"200.00\",\"0.153\",\"0.047\",\"0.120\",\"0.120\",\"0.450\",\"2.501\"\n"
        );
        assert!(results(Format::Json).starts_with("{\"test\":\"SE\\\"T\",\"requests\":100,\"seconds\":0.500,"));
        assert_eq!(
            results(Format::Full),
            "====== SE\"T ======\n  100 requests completed in 0.50 seconds\n  50 parallel clients\n  3 bytes payload\n  \
             keep alive: 1\n  host configuration \"save\": \n  host configuration \"appendonly\": no\n  multi-thread: no\n\n\
             Latency by percentile distribution:\n\
             0.000% <= 0.047 milliseconds (cumulative count 5)\n\
             50.000% <= 0.120 milliseconds (cumulative count 95)\n\
             96.875% <= 0.450 milliseconds (cumulative count 99)\n\
             99.219% <= 2.501 milliseconds (cumulative count 100)\n\
             100.000% <= 2.501 milliseconds (cumulative count 100)\n\n\
             Cumulative distribution of latencies:\n\
             5.000% <= 0.100 milliseconds (cumulative count 5)\n\
             95.000% <= 0.200 milliseconds (cumulative count 95)\n\
             99.000% <= 0.500 milliseconds (cumulative count 99)\n\
             100.000% <= 3.001 milliseconds (cumulative count 100)\n\n\
             Summary:\n  throughput summary: 200.00 requests per second\n  latency summary (msec):\n\
             \x20         avg       min       p50       p95       p99       max\n\
             \x20       0.153     0.047     0.120     0.120     0.450     2.501\n"
        );
    }

    #[test]
    fn nothing_measured() {
        let latencies = histogram();
        let results = Results { title: "T", elapsed: Duration::ZERO, latencies: &latencies, servers: &[None] };
        for format in [Format::Full, Format::Quiet, Format::Csv, Format::Json] {
            let text = results.text(&Options { format, ..Options::default() });
            assert!(!text.contains("NaN"), "{text}");
        }
    }
}
