//! Figures on a table.

/// Figures on one array of a table, in logical slots, as Redis prints them.
#[derive(Clone, Debug)]
pub struct ArrayStats {
    /// Logical slots.
    pub logical_size: u64,
    /// Elements.
    pub elements: usize,
    /// Logical slots that have elements.
    pub used_slots: usize,
    /// Most elements in one logical slot.
    pub longest: usize,
    /// How many logical slots have 0, 1, 2, … elements; the last counts longer ones too.
    pub lengths: [usize; 50],
}

impl Default for ArrayStats {
    fn default() -> Self {
        ArrayStats { logical_size: 0, elements: 0, used_slots: 0, longest: 0, lengths: [0; 50] }
    }
}

/// Figures on a table.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The array in use; while rehashing the old one.
    pub main: ArrayStats,
    /// The array to which elements are moved.
    pub target: Option<ArrayStats>,
    /// Child buckets of both.
    pub children: usize,
}
