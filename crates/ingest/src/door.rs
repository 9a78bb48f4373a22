//! The one door of the API: every route's handler is wrapped by [`guarded`], which finds out who
//! is asking, compares it with the access the route asks for, and only then calls the handler.
//!
//! A handler gets the tenant from [`Tenant`] and from nowhere else, so it cannot work on a tenant
//! that the key may not see. Repeated writes are answered here too (`idempotency`), and a panic in
//! a handler becomes a 500 here.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{FromRequestParts, RawPathParams, Request, State},
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use futures::FutureExt;
use http::{HeaderValue, Method, header, request::Parts};
use signpost_domain::{Problem, TenantId};
use signpost_runtime::sabotaged;

use crate::{
    app::App,
    auth::{Access, Caller},
    error::ApiError,
    idempotency,
};

/// Who is asking, and for which tenant.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Whose key it is.
    pub caller: Caller,
    /// The tenant in the path, which the caller may see; without one in the path the caller's own.
    pub tenant: Option<TenantId>,
}

/// What happens to an `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// The route changes nothing.
    Harmless,
    /// The answer is stored and given again.
    Remembered,
    /// The handler sees to it itself: an event's key becomes its id.
    ByHandler,
}

/// Wraps a handler.
pub fn guarded<H, T>(
    filter: MethodFilter,
    access: Access,
    repeats: Repeats,
    handler: H,
) -> MethodRouter<App>
where
    H: Handler<T, App>,
    T: 'static,
{
    on(filter, move |State(app): State<App>, request: Request| {
        let call = enter(app, access, repeats, handler.clone(), request);
        async move {
            let response = match AssertUnwindSafe(call).catch_unwind().await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => error.into_response(),
                Err(_panic) => {
                    // The panic hook has logged where.
                    ApiError::internal_text("a handler panicked").into_response()
                }
            };
            with_headers(response)
        }
    })
}

async fn enter<H, T>(
    app: App,
    access: Access,
    repeats: Repeats,
    handler: H,
    request: Request,
) -> Result<Response, ApiError>
where
    H: Handler<T, App>,
    T: 'static,
{
    let (mut parts, body) = request.into_parts();
    let params = RawPathParams::from_request_parts(&mut parts, &app)
        .await
        .map_err(|_not_utf8| ApiError::not_found())?;
    let named = params.iter().find(|(name, _)| *name == "tenant");
    let named = named.map(|(_, value)| value);
    if access == Access::Public {
        if let Some(text) = named {
            let tenant = TenantId::parse(text).map_err(|_no_id| ApiError::not_found())?;
            parts.extensions.insert(Tenant(tenant));
        }
        let request = Request::from_parts(parts, body);
        return Ok(handler.call(request, app).await);
    }
    let caller = app.keys.authenticate(&parts.headers).await?;
    let tenant = match named {
        None => caller.tenant.clone(),
        Some(text) => Some(see_tenant(&app, &caller, access, &parts.method, text).await?),
    };
    if !access.admits(caller.role) {
        return Err(caller.forbidden());
    }
    if let Some(tenant) = &tenant {
        parts.extensions.insert(Tenant(tenant.clone()));
    }
    let scope = Scope { caller, tenant };
    parts.extensions.insert(scope.clone());
    let request = Request::from_parts(parts, body);
    match repeats {
        // Boxed, to keep the future of the other routes small.
        Repeats::Remembered => Box::pin(idempotency::answer(app, &scope, handler, request)).await,
        Repeats::Harmless | Repeats::ByHandler => Ok(handler.call(request, app).await),
    }
}

/// The tenant of the path, when the caller may know of it.
async fn see_tenant(
    app: &App,
    caller: &Caller,
    access: Access,
    method: &Method,
    text: &str,
) -> Result<TenantId, ApiError> {
    match &caller.tenant {
        Some(own) if own.as_str() == text => Ok(own.clone()),
        Some(_foreign) if sabotaged("no-tenant-check") => {
            TenantId::parse(text).map_err(|_no_id| ApiError::not_found())
        }
        Some(_foreign) => Err(ApiError::not_found()),
        None => {
            let tenant = TenantId::parse(text).map_err(|error| match *method {
                // What cannot exist is not found; what is to be made under such an id is wrong.
                Method::PUT if access == Access::Operator => {
                    Problem::new("/tenant", error.to_string()).into()
                }
                _ => ApiError::not_found(),
            })?;
            // Operators create tenants, so theirs need not exist yet.
            if access == Access::Operator || app.tenants.may_exist(&tenant).await {
                Ok(tenant)
            } else {
                Err(ApiError::not_found())
            }
        }
    }
}

/// Headers of every answer of the API: never cached, never taken for something else.
pub fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let scope = parts.extensions.get::<Self>();
        scope
            .cloned()
            .ok_or_else(|| ApiError::internal_text("a route without a door"))
    }
}

/// The tenant of the path, which exists (as far as is known) and which the caller may see. The
/// door puts it there; a handler has no other.
#[derive(Debug, Clone)]
pub struct Tenant(pub TenantId);

impl<S: Sync> FromRequestParts<S> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let tenant = parts.extensions.get::<Self>();
        tenant.cloned().ok_or_else(ApiError::not_found)
    }
}
