"""What every operation works on: settings, state, clock, containers, jobs, events and faults.
Nothing here decides; it only holds the parts together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.sagemaker.clock import Clock
from localcloud.sagemaker.delivery import Bus
from localcloud.sagemaker.events import Announcer
from localcloud.sagemaker.faults import CallLog, Fault, Injector
from localcloud.sagemaker.fleet import Fleet, s3_client
from localcloud.sagemaker.metrics import Meter
from localcloud.sagemaker.settings import Settings
from localcloud.sagemaker.storage import Store
from localcloud.sagemaker.training.trainer import Trainer
from localcloud.sagemaker.wire import JsonObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class World:
    """One server's parts."""

    settings: Settings
    store: Store
    clock: Clock
    s3: "S3Client"
    fleet: Fleet
    trainer: Trainer
    injector: Injector
    announcer: Announcer
    calls: CallLog
    meter: Meter


@dataclass(frozen=True)
class ApiCall:
    """A validated call to an operation, with the faults that meet it."""

    parameters: JsonObject
    faults: tuple[Fault, ...] = ()

    def fault(self, kind: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.kind == kind), None)


def build_world(settings: Settings) -> World:
    """Load the state and make the parts; nothing is started yet."""
    store = Store(settings.state_dir / "state.json")
    injector = Injector()
    s3 = s3_client(settings)
    return World(
        settings=settings,
        store=store,
        clock=Clock(store.state.clock),
        s3=s3,
        fleet=Fleet(settings, s3),
        trainer=Trainer(),
        injector=injector,
        announcer=Announcer(Bus(settings), injector),
        calls=CallLog(),
        meter=Meter(settings),
    )
