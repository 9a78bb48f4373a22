//! The only way to a customer's URL: resolve, check, pin, connect, send, read within bounds,
//! classify.
//!
//! The dispatcher sends attempts through [`Egress::send`]; ingest checks URLs at registration
//! with [`Target::parse`] (the same function an attempt uses) and makes test sends. Nothing else
//! in the workspace may open a connection to a URL that a tenant chose.
//!
//! How a request goes, all of it within one deadline:
//!
//! 1. [`Target::parse`] has read the URL by strict rules (`target`), once per endpoint.
//! 2. `resolve` finds the addresses of the host; [`AddressRule`] judges each of them, and one
//!    forbidden address refuses the whole name.
//! 3. `pool` has an idle connection to one of these very addresses, or `connect` opens one to
//!    exactly the checked address, with TLS where the URL says so.
//! 4. `exchange` sends one HTTP/1.1 POST and reads a bounded answer.
//! 5. `outcome` puts a name to what went wrong, and says whose fault it was; [`shown_headers`]
//!    makes of headers what the record may show.
//!
//! Never: a redirect followed, a proxy variable obeyed, the system's `getaddrinfo` or hosts file
//! asked, a certificate check skipped, a POST repeated that may have arrived.

mod address;
mod answer;
mod config;
mod connect;
mod exchange;
mod meter;
mod outcome;
mod pool;
mod resolve;
mod retry_after;
mod send;
mod shown;
mod target;
mod tls;

pub use address::{AddressRule, Denied};
pub use answer::{Answer, Request, Response, Sent};
pub use config::{EgressConfig, PortRule};
pub use outcome::{Failure, FailureCode};
pub use send::{Egress, Error};
pub use shown::shown_headers;
pub use target::{Rules, Target, TargetError};
