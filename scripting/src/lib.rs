//! What makes several commands one unit: transactions, scripts, functions. Ignorant of any server.

pub mod transaction;
