//! Copies of values, for COPY: the same contents in the same encoding.

use crate::config::EngineConfig;
use crate::ds::listpack::ElemBuf;
use crate::types::hash::{FieldExpiry, Stored};
use crate::types::{Hash, List, Set, Zset};

impl List {
    /// The same list once more.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            List::Listpack(pack) => List::Listpack(pack.clone()),
            List::Quick(list) => List::Quick(list.clone()),
        }
    }
}

impl Set {
    /// The same set once more.
    #[must_use]
    pub fn duplicate(&self, config: &EngineConfig) -> Self {
        match self {
            Set::Int(members) => Set::Int(members.clone()),
            Set::Listpack(pack) => Set::Listpack(pack.clone()),
            Set::Table(_) => {
                let mut copy = Set::new();
                copy.convert_to_table(self.len());
                for member in self.iter() {
                    copy.add(member.text(&mut ElemBuf::new()), config);
                }
                copy
            }
        }
    }
}

impl Hash {
    /// The same hash once more.
    #[must_use]
    pub fn duplicate(&self, config: &EngineConfig) -> Self {
        match self {
            Hash::Listpack(pack) => Hash::Listpack(pack.clone()),
            Hash::ListpackEx(pack) => Hash::ListpackEx(pack.clone()),
            Hash::Table(_) | Hash::TableEx(_) => {
                let mut copy = Hash::new();
                copy.convert_to_table(self.len());
                if matches!(self, Hash::TableEx(_)) {
                    copy.allow_deadlines();
                }
                for Stored { field, value, deadline } in self.iter_stored() {
                    let expiry = deadline.map_or(FieldExpiry::Clear, FieldExpiry::At);
                    copy.set_with(field.text(&mut ElemBuf::new()), value.text(&mut ElemBuf::new()), expiry, config);
                }
                copy
            }
        }
    }
}

impl Zset {
    /// The same sorted set once more.
    #[must_use]
    pub fn duplicate(&self, config: &EngineConfig) -> Self {
        match self {
            Zset::Listpack(pack) => Zset::Listpack(pack.clone()),
            Zset::Tree(_) => {
                let mut copy = Zset::Tree(Box::default());
                for (member, score) in self.iter() {
                    copy.insert(member.text(&mut ElemBuf::new()), score, config);
                }
                copy
            }
        }
    }
}
