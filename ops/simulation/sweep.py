"""Fixed lives, disturbed at each of their writes in turn: no state of the store is left out.

A component that is killed the moment a write is safe has not had its answer, and the next one is
not on its way: with every write, that is every place between two writes. Who is cut off instead
comes back with an old mind, after another may have taken its lease.
"""

from collections.abc import Iterator, Sequence

from pilothouse.ops.simulation.faults import CLEAR
from pilothouse.ops.simulation.people import steps
from pilothouse.ops.simulation.run import Outcome, play
from pilothouse.ops.simulation.scene import SERVER, Act, Blow, How, Scene

LIVES: Sequence[Act] = (
    steps.rollout,
    steps.ordered,
    steps.indexed,
    steps.ticking,
    steps.everywhere,
    steps.cleared,
    steps.drained,
    steps.disowned,
)
STRUCK: Sequence[tuple[str, How]] = (
    ("controllers-a", "kill"),
    ("controllers-a", "part"),
    ("controllers-a", "lag"),
    ("scheduler", "kill"),
    (SERVER, "kill"),
    ("node-0", "kill"),
)
MEMBERS = ("controllers-a", "scheduler", "node-0", "node-1", "node-2")
STANDBY = "controllers-b"
SEED, TROUBLE_SECONDS, CALM_SECONDS = 1, 10.0, 12.0


def scene_of(life: Act, blow: Blow | None) -> Scene:
    """Nothing goes wrong in it but the blow; one who is cut off has somebody who stands by."""
    members = [*MEMBERS, STANDBY] if blow is not None and blow.how == "part" else MEMBERS
    nodes_fail = blow is not None and blow.victim.startswith("node")
    return Scene(
        SEED, CLEAR, members, nodes_fail, (life,), TROUBLE_SECONDS, 0.0, CALM_SECONDS, blow
    )


def named(name: str) -> Scene:
    """``rollout/controllers-a/kill/17``, as :func:`name_of` says; KeyError, ValueError."""
    life, victim, how, commit = name.split("/")
    acts = {act.__name__: act for act in LIVES}
    ways: dict[str, How] = {way: way for _, way in STRUCK}
    return scene_of(acts[life], Blow(victim, ways[how], int(commit)))


def name_of(scene: Scene) -> str:
    """What :func:`named` takes."""
    blow = scene.blow
    told = (blow.victim, blow.how, str(blow.commit)) if blow is not None else ()
    return "/".join((scene.acts[0].__name__, *told))


def blows(life: Act, step: int = 1) -> Iterator[Scene]:
    """Each victim at each ``step``-th write of a life that nothing disturbs."""
    calm = play(scene_of(life, None))
    if calm.broken:
        raise AssertionError(f"{life.__name__} without any trouble: {calm.broken}")
    for victim, how in STRUCK:
        for commit in range(1 + step // 2, calm.acted + 1, step):
            yield scene_of(life, Blow(victim, how, commit))


def swept(lives: Sequence[Act], step: int = 1) -> Iterator[tuple[str, Outcome]]:
    """Name and outcome of each."""
    for life in lives:
        for scene in blows(life, step):
            yield name_of(scene), play(scene)
