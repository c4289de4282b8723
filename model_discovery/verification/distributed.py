"""One design trained by several processes that torchrun started, on one machine or more.

Every process of torchrun's stays trusted: it starts a sandbox of its own, and the design's code runs in
there, connected to its likes before the doors close. The first process does all that a verification alone
does: it prepares, orders, proves, scores, reports. The others train along when they are invited, print
nothing, and leave when all is done.
"""

import fcntl
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from pydantic import BaseModel, ConfigDict

from model_discovery.config import SandboxLevel
from model_discovery.engine import Card, JobContext, card_devices, list_cards
from model_discovery.errors import EXIT_FAILED, EXIT_INTERRUPTED, UserError
from model_discovery.sandbox import Limits, Outcome, Sandbox, Status
from model_discovery.verification.orders import GroupOrder, TrainAnswer, TrainOrder
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.report import VerificationStatus
from model_discovery.verification.runner import PRELOAD, Runner, killed_from_outside, validated

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

_CHILD = "model_discovery.verification.group_child"
_FOREVER = timedelta(days=365)
_READY = timedelta(minutes=2)
_LAST_WORDS = timedelta(seconds=3)  # of the others, once a training has failed here
_BEFORE_STOPPING = 5.0  # seconds after SIGTERM, in which the reason for it may become known
_RESUME = "the same command goes on from the last checkpoint, with as many processes as you like"
_SIOCGIFADDR = 0x8915


@dataclass(frozen=True)
class Launch:
    """What torchrun told this process.

    Attributes
    ----------
    rank, size
        Which process this is, from 0, and how many there are on all machines.
    local_rank, nodes
        Which one it is on its machine, and how many machines.
    host, port
        Of the store that all of them reach.
    name
        Of this start of all processes; no other one has it.
    hosted
        Whether torchrun serves the store itself, or the first process has to.
    """

    rank: int
    size: int
    local_rank: int
    nodes: int
    host: str
    port: int
    name: str
    hosted: bool

    @property
    def follows(self) -> bool:
        """Whether it is not the first one."""
        return self.rank > 0

    @property
    def threads(self) -> int:
        """Of each process: one, unless ``OMP_NUM_THREADS`` says more."""
        return int(os.environ.get("OMP_NUM_THREADS", "1"))


def launched(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """What torchrun told this process, ``None`` where it trains alone.

    Raises
    ------
    UserError
        Some of it is missing.
    """
    if int(environment.get("WORLD_SIZE") or 1) < 2 or "RANK" not in environment:
        return None
    try:
        return Launch(
            rank=int(environment["RANK"]),
            size=int(environment["WORLD_SIZE"]),
            local_rank=int(environment["LOCAL_RANK"]),
            nodes=int(environment.get("GROUP_WORLD_SIZE", "1")),
            host=environment["MASTER_ADDR"],
            port=int(environment["MASTER_PORT"]),
            name="/".join(environment.get(f"TORCHELASTIC_{key}", "") for key in ("RUN_ID", "RESTART_COUNT")),
            hosted=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        )
    except (KeyError, ValueError) as error:
        raise UserError(
            f"WORLD_SIZE is {environment['WORLD_SIZE']}, but what belongs to it is missing: {error}.",
            hint="start with torchrun, or unset WORLD_SIZE",
        ) from error


class Invitation(BaseModel):
    """A training that the first process asks all others to take part in.

    Attributes
    ----------
    host, port
        Of the store by which the sandboxes find each other. Not torchrun's: what design code writes there is
        read by design code alone, while torchrun's holds invitations, and objects that torchrun unpickles.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: TrainOrder
    host: str
    port: int
    limits: dict[str, float | int | None]
    folder: str
    sandbox: SandboxLevel


class Ended(BaseModel):
    """How the training of one process ended: the sandbox's status, and what the trainer itself said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status
    verdict: VerificationStatus
    error: str
    cpu_seconds: float
    peak_memory_mb: float

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        verdict, error = "failed", outcome.error
        if outcome.ok:
            try:
                answer = validated(TrainAnswer, outcome.value)
                verdict, error = answer.status, answer.error
            except VerificationFailure as failure:
                verdict, error = failure.status, failure.error
        return cls(
            status=outcome.status,
            verdict=verdict,
            error=error,
            cpu_seconds=outcome.cpu_seconds or 0.0,
            peak_memory_mb=outcome.peak_memory_mb or 0.0,
        )

    @property
    def lost_another(self) -> bool:
        """Whether it ended because another one did."""
        return self.error.startswith("LostProcess")


class Meeting:
    """What the processes of one launch tell each other, over torchrun's store: orders out, endings back.

    Trainings are numbered; both sides count them.
    """

    def __init__(self, launch: Launch) -> None:
        from torch._C._distributed_c10d import PrefixStore, TCPStore

        self.launch = launch
        self.number = -1
        serves = launch.rank == 0 and not launch.hosted
        store = TCPStore(launch.host, launch.port, is_master=serves, timeout=_READY, wait_for_workers=False)
        self._store: Store = PrefixStore(f"model_discovery/{launch.name}", store)

    def say(self, what: str, text: str) -> None:
        """Of the training now: something for whoever asks, once."""
        self._store.set(f"{self.number}/{what}", text)

    def hear(self, what: str, patience: timedelta) -> str | None:
        """What was said of the training now; ``None`` if nobody says it in time."""
        from torch.distributed import DistStoreError

        key = f"{self.number}/{what}"
        try:
            self._store.wait([key], patience)
        except DistStoreError:
            return None
        return self._store.get(key).decode()


def follow(launch: Launch, trainings: int) -> None:
    """Be one of the other processes: take part in as many trainings as there may be, in silence.

    Ctrl-C, and the end that torchrun makes when another process has failed, end it at once.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    meeting = Meeting(launch)
    for _ in range(trainings):
        meeting.number += 1
        if invitation := meeting.hear("invitation", _FOREVER):
            _take_part(meeting, Invitation.model_validate_json(invitation))
        meeting.hear("done", _FOREVER)


def _take_part(meeting: Meeting, invitation: Invitation) -> None:
    launch = meeting.launch
    data = Path(invitation.order.data)
    if not data.is_dir():
        meeting.say(f"ready/{launch.rank}", f"{socket.gethostname()} has no data at {data}")
        return
    meeting.say(f"ready/{launch.rank}", "")
    folder = Path(invitation.folder) / f"rank-{launch.rank}"
    with _connecting_sandbox(folder, invitation, launch) as sandbox:
        outcome = _call(sandbox, meeting, invitation, folder)
    meeting.say(f"ended/{launch.rank}", Ended.of(outcome).model_dump_json())


def run_verify(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """`work.run_verify` in the first process: training is done together, all else as ever."""
    from model_discovery.verification import work

    launch = launched()
    assert launch is not None, "only what torchrun started comes here"
    meeting = context.keep("meeting", lambda: Meeting(launch))
    meeting.number += 1
    level: SandboxLevel = request.get("sandbox", "auto")
    runners: list[DistributedRunner] = []

    def make_runner(sandbox: Sandbox, folder: Path) -> Runner:
        runners.append(DistributedRunner(sandbox, folder, meeting, level))
        return runners[0]

    try:
        return work.run_verify(request, context, make_runner)
    finally:
        if not (runners and runners[0].invited):
            meeting.say("invitation", "")
        meeting.say("done", "")


class DistributedRunner(Runner):
    """A `Runner` whose training is done by all processes; serving is the first one's own."""

    def __init__(self, sandbox: Sandbox, folder: Path, meeting: Meeting, level: SandboxLevel) -> None:
        super().__init__(sandbox, folder)
        self._meeting = meeting
        self._asked_level = level
        self.invited = False

    def train(
        self, order: TrainOrder, limits: Limits, on_event: Callable[[dict[str, Any]], None]
    ) -> TrainAnswer:
        """Train together.

        Raises
        ------
        VerificationFailure
            The design failed, in whichever process.
        UserError
            A process was lost, cannot take part, or was killed: no fault of the design.
        """
        from torch._C._distributed_c10d import TCPStore

        launch = self._meeting.launch
        host = _host_of_first(launch)
        store = TCPStore(host, 0, is_master=True, timeout=_READY, wait_for_workers=False)
        invitation = Invitation(
            order=order.model_copy(update={"programs": False}),
            host=host,
            port=store.port,
            limits=asdict(limits),
            folder=str(self._folder),
            sandbox=self._asked_level,
        )
        self.invited = True
        self._written_mb = limits.file_mb
        self._meeting.say("invitation", invitation.model_dump_json())
        self._await_all()
        with _connecting_sandbox(self._folder, invitation, launch) as sandbox:
            self.level = f"distributed: {sandbox.level}, network closed once the processes were connected"
            outcome = _call(sandbox, self._meeting, invitation, self._folder / "train", on_event)
        self.notes = (f"trained by {launch.size} processes on {launch.nodes} node{'s' * (launch.nodes > 1)}",)
        endings = self._endings(outcome)
        self.cpu_seconds += sum(ended.cpu_seconds for ended in endings.values())
        self.peak_memory_mb = max(ended.peak_memory_mb for ended in endings.values()) or None
        if outcome.ok:
            return validated(TrainAnswer, outcome.value)
        raise self._cause(endings)

    def _await_all(self) -> None:
        for rank in range(1, self._meeting.launch.size):
            problem = self._meeting.hear(f"ready/{rank}", _READY)
            if problem is None:
                raise UserError(
                    f"The process of rank {rank} did not answer within {_READY.seconds // 60} minutes.",
                    hint="look at its machine; all processes need the same command and package",
                    exit_code=EXIT_FAILED,
                )
            if problem:
                raise UserError(
                    f"The process of rank {rank} cannot take part: {problem}.",
                    hint="share the data folder between the machines, or prepare the same data on each",
                )

    def _endings(self, outcome: Outcome) -> dict[int, Ended]:
        """Of all processes that say how they ended, by rank."""
        endings = {0: Ended.of(outcome)}
        patience = _READY if outcome.ok else _LAST_WORDS
        for rank in range(1, self._meeting.launch.size):
            if told := self._meeting.hear(f"ended/{rank}", patience):
                endings[rank] = Ended.model_validate_json(told)
            else:
                patience = timedelta(milliseconds=100)
        return endings

    def _cause(self, endings: Mapping[int, Ended]) -> Exception:
        """The failure of the process that failed first, not those of the others that missed it then."""
        size = self._meeting.launch.size
        for rank, ended in endings.items():
            if ended.verdict == "ok" or ended.lost_another:
                continue
            if ended.status == "ok":
                return VerificationFailure(ended.verdict, f"rank {rank}: {ended.error}")
            outcome = Outcome(status=ended.status, error=f"rank {rank}: {ended.error}")
            if killed_from_outside(outcome):
                return UserError(
                    f"The training process of rank {rank} of {size} was killed.",
                    hint=f"a machine without memory does that; {_RESUME}",
                    exit_code=EXIT_FAILED,
                )
            return self._failure(outcome)
        silent = [rank for rank in range(size) if rank not in endings]
        who = f"The process of rank {silent[0]} of {size} was lost" if silent else "The connection was lost"
        return UserError(f"{who} while training.", hint=_RESUME, exit_code=EXIT_FAILED)


@contextmanager
def explaining_the_end() -> Iterator[None]:
    """Stop as a person would want it: Ctrl-C at once; SIGTERM, which torchrun sends to all others when one
    process has ended, after a moment in which the work itself may find out which.
    """

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, lambda *_: signal.setitimer(signal.ITIMER_REAL, _BEFORE_STOPPING))
    try:
        yield
    except KeyboardInterrupt:
        raise UserError("Stopped.", hint=_RESUME, exit_code=EXIT_INTERRUPTED) from None


def _connecting_sandbox(folder: Path, invitation: Invitation, launch: Launch) -> Sandbox:
    return Sandbox(
        writable=folder,
        readable=[Path(invitation.order.data)],
        level=invitation.sandbox,
        preload=(*PRELOAD, _CHILD),
        threads=launch.threads,
        devices=card_devices() if _card(launch) else (),
        network=True,
    )


def _card(launch: Launch) -> Card | None:
    """This process's own GPU, ``None`` where the machine has none.

    Raises
    ------
    UserError
        More processes than GPUs: two of them cannot exchange gradients over one.
    """
    cards = list_cards()
    if not cards:
        return None
    if launch.local_rank >= len(cards):
        raise UserError(
            f"This machine has {len(cards)} GPUs, too few for the process of local rank {launch.local_rank}.",
            hint=f"--nproc-per-node {len(cards)}",
        )
    return cards[launch.local_rank]


def _call(
    sandbox: Sandbox,
    meeting: Meeting,
    invitation: Invitation,
    folder: Path,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Outcome:
    """This process's part of a training, in the sandbox."""
    launch = meeting.launch
    settings = {
        key: value for key, value in os.environ.items() if key.startswith(("GLOO_", "NCCL_", "TORCH_NCCL_"))
    }
    if "GLOO_SOCKET_IFNAME" not in settings and (
        interface := _interface_towards(_resolve(launch.host), launch.nodes)
    ):
        settings["GLOO_SOCKET_IFNAME"] = interface
    card = _card(launch)
    if card is not None:
        settings["CUDA_VISIBLE_DEVICES"] = card.id
    group = GroupOrder(
        name=f"{launch.name}/{meeting.number}",
        rank=launch.rank,
        size=launch.size,
        address=_resolve(invitation.host),
        port=invitation.port,
        device="cpu" if card is None else "cuda:0",
        version=f"{version('model-discovery')}, torch {version('torch')}",
        settings=settings,
    )
    return sandbox.call(
        f"{_CHILD}:train",
        {"order": invitation.order.model_dump(mode="json"), "group": group.model_dump()},
        folder=folder,
        limits=Limits(**invitation.limits),  # type: ignore[arg-type]
        on_event=on_event,
        connect=f"{_CHILD}:connect",
    )


def _resolve(host: str) -> str:
    """A host's address, the sandbox having no names; IPv4 where there is one."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda info: info[0] != socket.AF_INET)[4][0])


def _host_of_first(launch: Launch) -> str:
    """Where the other processes reach the first one, which need not be where torchrun's store is."""
    own = _own_address(_resolve(launch.host))
    return launch.host if _is_loopback(own) else own


def _own_address(towards: str) -> str:
    """The address by which this machine reaches another, or itself. Sends nothing."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 1))
        return str(probe.getsockname()[0])


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _interface_towards(address: str, nodes: int) -> str | None:
    """Name of the network interface by which this machine reaches an address, ``None`` if that is unclear."""
    own = _own_address(address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if _is_loopback(own):  # several nodes on one machine are a trial; else it is only half the truth
            return "lo" if nodes == 1 or address.startswith("127.0.0.") else None
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:  # no IPv4 address
                continue
            if socket.inet_ntoa(answer[20:24]) == own:
                return name
    return None
