//! Who is asking: what the key may do.

use axum::Json;

use crate::{api::keys::model::Me, door::Scope};

/// Shows what your key may do
#[utoipa::path(
    get, path = "/v1/me", tag = "Keys",
    responses((status = 200, description = "Your key", body = Me))
)]
pub async fn handler(scope: Scope) -> Json<Me> {
    Json(Me {
        role: scope.caller.role.as_str(),
        tenant: scope.caller.tenant.map(|tenant| tenant.to_string()),
        key_id: scope.caller.key.map(|key| key.to_string()),
    })
}
