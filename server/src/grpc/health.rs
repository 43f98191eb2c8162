//! `grpc.health.v1`: whether the server is ready, asked once or watched.

use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream::BoxStream};
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

use super::SERVICE;
use crate::inference::DataPlane;

/// Answers for the server as a whole and for the protocol's service, which are ready together.
#[derive(Clone, Debug)]
pub struct Health {
    pub(super) data_plane: Arc<DataPlane>,
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn is_known(request: &HealthCheckRequest) -> bool {
    ["", SERVICE].contains(&request.service.as_str())
}

/// The server's status, and each change of it. Ends when the server is about to stop.
fn changes(data_plane: Arc<DataPlane>) -> impl Stream<Item = Result<HealthCheckResponse, Status>> {
    data_plane.readiness().map(|ready| Ok(response(status(ready))))
}

#[async_trait]
impl health_server::Health for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let request = request.into_inner();
        if is_known(&request) {
            return Ok(Response::new(response(status(self.data_plane.is_ready()))));
        }
        let name: String = request.service.chars().take(64).collect();
        let name = oip::on_one_line(&name);
        Err(Status::not_found(format!("unknown service '{name}': there are '' and '{SERVICE}'")))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !is_known(request.get_ref()) {
            // The specification wants a status here, and the stream kept open: no service ever comes later.
            let unknown = futures_util::stream::iter([Ok(response(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(unknown.chain(futures_util::stream::pending()).boxed()));
        }
        Ok(Response::new(changes(Arc::clone(&self.data_plane)).boxed()))
    }
}
