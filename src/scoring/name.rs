//! Names and other short texts that a record keeps.

/// A name of a model, an event type, a topic or a key. Up to 23 bytes stand in the value itself,
/// and a longer one is shared, so that copying a name takes no memory.
pub type Name = smol_str::SmolStr;
