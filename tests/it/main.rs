//! End to end tests: the whole of Signpost on real RabbitMQ, PostgreSQL and sockets, and the rules
//! that the repository keeps.

mod catalogs;
mod deploy;
mod examples;
mod tidy;
