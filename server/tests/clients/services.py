"""gRPC's own health and reflection services. Argument: the server's address."""

import sys

import grpc
from common import refused
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "inference.GRPCInferenceService"
METHODS = """ServerLive ServerReady ModelReady ServerMetadata ModelMetadata ModelInfer ModelStreamInfer ModelConfig
    ModelStatistics RepositoryIndex RepositoryModelLoad RepositoryModelUnload""".split()


def health(channel):
    stub = HealthStub(channel)
    for service in ["", SERVICE]:
        request = HealthCheckRequest(service=service)
        assert stub.Check(request, timeout=60).status == HealthCheckResponse.SERVING
        watch = stub.Watch(request, timeout=60)
        assert next(watch).status == HealthCheckResponse.SERVING
        watch.cancel()
    nobody = HealthCheckRequest(service="nobody")
    with refused(grpc.RpcError, lambda error: error.code() == grpc.StatusCode.NOT_FOUND):
        stub.Check(nobody, timeout=60)
    assert next(stub.Watch(nobody, timeout=60)).status == HealthCheckResponse.SERVICE_UNKNOWN


def reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {SERVICE, "grpc.health.v1.Health"} <= set(database.get_services()), list(database.get_services())
    pool = DescriptorPool(database)
    methods = pool.FindServiceByName(SERVICE).methods_by_name
    assert set(METHODS) <= set(methods), sorted(methods)
    request = methods["ModelInfer"].input_type
    assert request.full_name == "inference.ModelInferRequest"
    assert request.fields_by_name["raw_input_contents"].number == 7
    assert pool.FindMessageTypeByName("inference.ModelStatistics").fields_by_name["inference_count"].number == 4


if __name__ == "__main__":
    with grpc.insecure_channel(sys.argv[1]) as connection:
        for check in [health, reflection]:
            print(check.__name__, flush=True)
            check(connection)
