//! How requests are read: bodies, query strings, ids in the path. Nothing here knows what a
//! request is about.

pub mod body;
pub mod fields;
pub mod path;
pub mod query;

pub use body::JsonBody;
pub use fields::Fields;
pub use path::Id;
pub use query::Query;
