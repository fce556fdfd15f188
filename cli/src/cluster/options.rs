//! The arguments of `--cluster`.

use crate::args::{leading_float, leading_integer};

/// Everything that was said behind `--cluster`, and the options of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterOptions {
    pub(crate) command: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) replicas: usize,
    pub(crate) master_id: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) from_user: Option<Vec<u8>>,
    pub(crate) from_password: Option<Vec<u8>>,
    pub(crate) from_ask_password: bool,
    pub(crate) to: Option<String>,
    /// `NODE=WEIGHT`, as given.
    pub(crate) weights: Vec<String>,
    pub(crate) slots: Option<i64>,
    /// Milliseconds that one MIGRATE may take.
    pub(crate) timeout: Option<i64>,
    /// Keys of one MIGRATE.
    pub(crate) pipeline: Option<i64>,
    /// Per cent of imbalance that is left alone.
    pub(crate) threshold: Option<f64>,
    pub(crate) yes: bool,
    pub(crate) simulate: bool,
    pub(crate) replace: bool,
    pub(crate) copy: bool,
    pub(crate) replica: bool,
    pub(crate) use_empty_masters: bool,
    pub(crate) search_multiple_owners: bool,
    pub(crate) fix_with_unreachable_masters: bool,
    pub(crate) only_masters: bool,
    pub(crate) only_replicas: bool,
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

impl ClusterOptions {
    /// Takes one of the options; how many of the `values` behind it belong to it. `None`: it is none of ours, or lacks its value.
    pub(crate) fn take(&mut self, option: &[u8], values: &[Vec<u8>]) -> Option<usize> {
        let flag = match option {
            b"--cluster-yes" => &mut self.yes,
            b"--cluster-simulate" => &mut self.simulate,
            b"--cluster-replace" => &mut self.replace,
            b"--cluster-copy" => &mut self.copy,
            b"--cluster-slave" | b"--cluster-replica" => &mut self.replica,
            b"--cluster-use-empty-masters" => &mut self.use_empty_masters,
            b"--cluster-search-multiple-owners" => &mut self.search_multiple_owners,
            b"--cluster-fix-with-unreachable-masters" => &mut self.fix_with_unreachable_masters,
            b"--cluster-only-masters" => &mut self.only_masters,
            b"--cluster-only-replicas" => &mut self.only_replicas,
            b"--cluster-from-askpass" => &mut self.from_ask_password,
            _ => return self.take_valued(option, values),
        };
        *flag = true;
        Some(0)
    }

    fn take_valued(&mut self, option: &[u8], values: &[Vec<u8>]) -> Option<usize> {
        if option == b"--cluster-weight" {
            let count = values.iter().take_while(|value| !value.starts_with(b"-")).count();
            self.weights.extend(values[..count].iter().map(|value| text(value)));
            return (count > 0).then_some(count);
        }
        let value = values.first()?;
        match option {
            b"--cluster-replicas" => self.replicas = usize::try_from(leading_integer(value)).unwrap_or(0),
            b"--cluster-master-id" => self.master_id = Some(text(value)),
            b"--cluster-from" => self.from = Some(text(value)),
            b"--cluster-from-user" => self.from_user = Some(value.clone()),
            b"--cluster-from-pass" => self.from_password = Some(value.clone()),
            b"--cluster-to" => self.to = Some(text(value)),
            b"--cluster-slots" => self.slots = Some(leading_integer(value)),
            b"--cluster-timeout" => self.timeout = Some(leading_integer(value)),
            b"--cluster-pipeline" => self.pipeline = Some(leading_integer(value)),
            b"--cluster-threshold" => self.threshold = Some(leading_float(value)),
            _ => return None,
        }
        Some(1)
    }
}
