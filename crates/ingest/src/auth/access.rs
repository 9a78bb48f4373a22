//! Who may do what: the roles of keys, and the access that a route asks for.
//!
//! The table of routes (`api`) gives each route its access; `door` compares the two before the
//! handler runs. The rules are only here.

pub use signpost_store::KeyRole as Role;

/// What a route asks of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing: what is behind it is public.
    Public,
    /// Any valid key.
    Anyone,
    /// An operator of this installation.
    Operator,
    /// Whoever runs the tenant.
    Manage,
    /// Whoever publishes for the tenant.
    Publish,
    /// Whoever looks after the tenant's endpoints, the customer itself included.
    Endpoints,
}

impl Access {
    /// Whether a key with this role may come in.
    pub const fn admits(self, role: Role) -> bool {
        match (self, role) {
            (Self::Public | Self::Anyone, _)
            | (_, Role::Admin)
            | (Self::Manage | Self::Publish | Self::Endpoints, Role::Manager)
            | (Self::Publish, Role::Publisher)
            | (Self::Endpoints, Role::Portal) => true,
            (Self::Operator, Role::Manager | Role::Publisher | Role::Portal)
            | (Self::Manage, Role::Publisher | Role::Portal)
            | (Self::Publish, Role::Portal)
            | (Self::Endpoints, Role::Publisher) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_access_admits_exactly_its_roles() {
        let admitted = |access: Access| {
            let roles = Role::ALL.iter().filter(|role| access.admits(**role));
            roles
                .map(|role| role.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(admitted(Access::Anyone), "admin manager publisher portal");
        assert_eq!(admitted(Access::Operator), "admin");
        assert_eq!(admitted(Access::Manage), "admin manager");
        assert_eq!(admitted(Access::Publish), "admin manager publisher");
        assert_eq!(admitted(Access::Endpoints), "admin manager portal");
    }
}
