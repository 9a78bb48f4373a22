//! One route of the API: method, path, access, handler and documentation in one value.
//!
//! `api::routes()` lists them all; the router, the OpenAPI document and the test that looks for
//! leaks are made from that list, so that they cannot differ.

use axum::{handler::Handler, routing::MethodFilter, routing::MethodRouter};
use http::Method;
use utoipa::{
    __dev::{SchemaReferences, Tags},
    openapi::{HttpMethod, RefOr, path::Operation, schema::Schema},
};

use crate::{
    app::App,
    auth::Access,
    door::{Repeats, guarded},
};

/// A named schema of the document.
pub type NamedSchema = (String, RefOr<Schema>);

/// One method of one path.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters as `{name}`.
    pub path: String,
    /// Who may come in.
    pub access: Access,
    /// What happens to an `Idempotency-Key`.
    pub repeats: Repeats,
    /// The documentation.
    pub operation: Operation,
    /// The schemas that the documentation names.
    pub schemas: Vec<NamedSchema>,
    /// The handler, behind the door.
    pub service: MethodRouter<App>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.access)
    }
}

impl Route {
    /// A route whose method, path and documentation stand in the handler's `#[utoipa::path]`.
    /// `name` is the handler's module, such as `events::create`.
    pub fn new<P, H, T>(name: &str, access: Access, repeats: Repeats, handler: H) -> Self
    where
        P: utoipa::Path + SchemaReferences + for<'t> Tags<'t>,
        H: Handler<T, App>,
        T: 'static,
    {
        let (method, filter) = match P::methods().first() {
            Some(HttpMethod::Post) => (Method::POST, MethodFilter::POST),
            Some(HttpMethod::Put) => (Method::PUT, MethodFilter::PUT),
            Some(HttpMethod::Patch) => (Method::PATCH, MethodFilter::PATCH),
            Some(HttpMethod::Delete) => (Method::DELETE, MethodFilter::DELETE),
            _get => (Method::GET, MethodFilter::GET),
        };
        let mut operation = P::operation();
        operation.tags = Some(P::tags().into_iter().map(str::to_owned).collect());
        operation.operation_id = Some(name.replace(' ', "").replace("::", "_"));
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        Self {
            path: P::path(),
            access,
            repeats,
            operation,
            schemas,
            service: guarded(filter, access, repeats, handler),
            method,
        }
    }
}

/// Makes a [`Route`] from the handler's module, in which the function is called `handler`.
macro_rules! route {
    ($access:ident, $repeats:ident, $($module:ident)::+) => {
        $crate::route::Route::new::<$($module)::+::__path_handler, _, _>(
            stringify!($($module)::+),
            $crate::auth::Access::$access,
            $crate::door::Repeats::$repeats,
            $($module)::+::handler,
        )
    };
}
pub(crate) use route;
