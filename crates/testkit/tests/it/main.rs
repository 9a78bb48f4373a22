//! The test kit's own tests: what others build their tests on must hold.

#[cfg(test)]
mod fault_proxy;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod rabbitmq;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod wait;

use std::time::Duration;

/// Long enough on a busy machine; what is waited for comes much sooner.
const PATIENCE: Duration = Duration::from_secs(60);
