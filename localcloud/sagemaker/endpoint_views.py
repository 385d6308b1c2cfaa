"""DescribeEndpoint and ListEndpoints: an endpoint as its callers see it.
Nothing here changes an endpoint."""

from localcloud.sagemaker.endpoints import find_endpoint
from localcloud.sagemaker.lists import SortKey, matches_times, page_answer, select_page
from localcloud.sagemaker.storage import Endpoint, Variant
from localcloud.sagemaker.wire import JsonObject
from localcloud.sagemaker.world import ApiCall, World


def describe_endpoint(world: World, call: ApiCall) -> JsonObject:
    with world.store.reading() as state:
        endpoint = find_endpoint(state, world, call.parameters["EndpointName"])
    answer = _summary(endpoint) | {"EndpointConfigName": endpoint.config_name}
    deployment, change = endpoint.deployment, endpoint.change
    if endpoint.failure_reason is not None:
        answer["FailureReason"] = endpoint.failure_reason
    if deployment is not None:
        wanted = change.deployment if change and change.kind == "rescale" else None
        desired = {variant.name: variant for variant in wanted.variants} if wanted else {}
        answer["ProductionVariants"] = [
            _describe_variant(variant, desired.get(variant.name, variant))
            for variant in deployment.variants
        ]
        if deployment.data_capture is not None:
            answer["DataCaptureConfig"] = _describe_capture(deployment.data_capture)
    if change is not None and change.kind == "update":
        answer["PendingDeploymentSummary"] = {
            "EndpointConfigName": change.wanted_config,
            "StartTime": change.started_at,
        }
    return answer


def list_endpoints(world: World, call: ApiCall) -> JsonObject:
    asked = call.parameters
    with world.store.reading() as state:
        endpoints = [one for one in state.endpoints.values() if _is_asked(one, asked)]

    def key(endpoint: Endpoint) -> SortKey:
        match asked.get("SortBy"):
            case "Name":
                return (endpoint.name,)
            case "Status":
                return (endpoint.status, endpoint.name)
            case _:
                return (endpoint.created_at, endpoint.name)

    page, token = select_page(endpoints, asked, key=key)
    return page_answer("Endpoints", [_summary(endpoint) for endpoint in page], token)


OPERATIONS = {"DescribeEndpoint": describe_endpoint, "ListEndpoints": list_endpoints}


def _is_asked(endpoint: Endpoint, asked: JsonObject) -> bool:
    return (
        asked.get("NameContains", "").lower() in endpoint.name.lower()
        and asked.get("StatusEquals", endpoint.status) == endpoint.status
        and matches_times(asked, created_at=endpoint.created_at, modified_at=endpoint.modified_at)
    )


def _summary(endpoint: Endpoint) -> JsonObject:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.modified_at,
    }


def _describe_variant(current: Variant, desired: Variant) -> JsonObject:
    answer: JsonObject = {
        "VariantName": current.name,
        "DeployedImages": [{"SpecifiedImage": current.container["Image"]}],
        "CurrentWeight": current.weight,
        "DesiredWeight": desired.weight,
    }
    if current.serverless is not None:
        answer["CurrentInstanceCount"] = answer["DesiredInstanceCount"] = 0
        answer["CurrentServerlessConfig"] = current.serverless
        answer["DesiredServerlessConfig"] = desired.serverless
    else:
        answer["CurrentInstanceCount"] = current.instance_count
        answer["DesiredInstanceCount"] = desired.instance_count
    return answer


def _describe_capture(capture: JsonObject) -> JsonObject:
    is_on = capture.get("EnableCapture", False)
    return {
        "EnableCapture": is_on,
        "CaptureStatus": "Started" if is_on else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }
