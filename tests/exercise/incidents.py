"""The six incidents: what happens, which alert tells it, and what the runbook has the operator do."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from consumer.local.stack import LocalStack
from tests.consuming import encoded, fetch
from tests.exercise.scene import Scene
from tests.kafka.test_incidents import make_anew
from tests.lives import event

SMALL_DISK_MEGABYTES = 24
SMALL = "small"  # the tablespace on it

Play = Callable[[Scene], Awaitable[None]]


async def _number(scene: Scene, table: str) -> int:
    """The number of the newest incident, or dead letter."""
    return int((await fetch(scene.database_url, f"SELECT max(id) FROM {table}"))[0][0])


async def poison_flood(scene: Scene) -> None:
    """A publisher is deployed that writes nonsense among what is right, and then nothing but nonsense."""
    scene.tell("happens", "one record in ten is no event, then 1,100 in a row are none")
    bad = 0
    fires = asyncio.create_task(scene.fires("WexDeadLetterFlood", "WexDeadLetters"))
    while not fires.done():
        await scene.publish(45)
        await scene.write([b"nonsense"] * 10)
        bad += 10
        await asyncio.sleep(0.5)
    await fires
    await scene.write([b"nonsense"] * 1_100)
    bad += 1_100
    await scene.until(lambda: _ended(scene, 6), "it has ended with code 6")
    scene.tell("ends", f"with code {scene.platform.codes[-1]}; the platform leaves it down")
    await scene.fires("WexAbsent")
    absent = scene.reads("Alerts", "WexAbsent")
    assert "code 2, 6 or 8" in " ".join(absent.split())
    assert "#wexdeadletterflood" in scene.reads("Exit codes", "6 halted")
    flood = scene.reads("Alerts", "WexDeadLetterFlood")
    await scene.runs(flood, "wex dead-letter list")
    for setting, value in (("WEX_DEAD_LETTERS_IN_A_ROW_MAX", "0"), ("WEX_DEAD_LETTERS_PERCENT_MAX", "100")):
        assert f"`{setting}`" in flood
        scene.tell("sets", f"{setting}={value}")
        scene.platform.settings[setting] = value
    scene.platform.start()
    await scene.is_well(verify=True)
    letters = scene.reads("Alerts", "WexDeadLetters")
    await scene.runs(letters, "wex dead-letter show ID", ID=await _number(scene, "dead_letters"))
    await scene.runs(letters, "wex dead-letter redrive --reason REASON --dry-run", REASON="not_json")
    kept = await fetch(scene.database_url, "SELECT count(*) FROM dead_letters WHERE value = 'nonsense'")
    assert kept[0][0] == bad
    scene.tell("nothing lost", f"{bad} dead letters, byte for byte")
    await scene.clears("WexAbsent")


async def _ended(scene: Scene, code: int) -> bool:
    return scene.platform.codes[-1:] == [code]


async def database_gone(scene: Scene) -> None:
    """PostgreSQL crashes, and is started again."""
    await scene.publish(20)
    scene.tell("happens", "PostgreSQL is gone, without a checkpoint")
    await asyncio.to_thread(scene.stack.postgres.stop, "immediate")
    await scene.publish(20)
    await scene.fires("WexNotReady")
    entry = scene.reads("Alerts", "WexNotReady")
    assert "PostgreSQL" in await scene.runs(entry, "wex doctor", code=1)
    await asyncio.to_thread(scene.stack.postgres.start)
    await scene.is_well()
    assert scene.platform.codes == [], "nobody has to start it again"
    await scene.clears("WexNotReady")


async def disk_full(scene: Scene, disk: Path) -> None:
    """The disk of the database is full, and then has room again."""
    await scene.publish(20)
    scene.tell("happens", "there is no byte left on the disk of the database")
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    await scene.publish(150, input="x" * 20_000)
    await scene.fires("WexDatabaseErrors", "WexNotReady")
    entry = scene.reads("Alerts", "WexDatabaseErrors")
    said = [line["message"] for line in scene.platform.log if line["event"] == "database_failed"]
    assert any("No space left on device" in message for message in said), said
    scene.tell("log", said[-1])
    await scene.runs(entry, "wex doctor", code=1)
    ballast.unlink()
    await scene.is_well()
    assert scene.platform.codes == [], "nobody has to start it again"
    await scene.clears("WexDatabaseErrors", "WexNotReady")


async def lost_partition(scene: Scene) -> None:
    """The disk of the only replica is gone, while the consumer was away; the partition begins anew."""
    await scene.publish(30)
    await scene.applies()
    scene.tell("happens", "the broker comes back without the partition; the consumer was away and lacks 20 records")
    await scene.platform.stop()
    unapplied = await scene.publish(10)
    await asyncio.to_thread(scene.stack.kafka.kill)
    shutil.rmtree(scene.stack.kafka.folder / "log" / f"{scene.topic}-0")
    await asyncio.to_thread(scene.stack.kafka.start)
    scene.platform.start()
    await _accept(scene, "truncated", publish_again=unapplied)


async def recreated_topic(scene: Scene) -> None:
    """Somebody deletes the topic and makes it anew."""
    await scene.publish(30)
    await scene.applies()
    scene.tell("happens", "the topic is deleted and made anew, with other records")
    again = [event("completed", n, run=f"anew-{n}") for n in range(40)]
    await make_anew(scene.stack.kafka_bootstrap_servers, scene.topic, again)

    scene.values += [value for value in encoded(again) if value is not None]
    await _accept(scene, "recreated")


async def _accept(scene: Scene, kind: str, publish_again: Sequence[bytes] = ()) -> None:
    """Do what the runbook says about a halted partition whose log is as it is."""
    await scene.fires("WexPartitionHalted", "WexIncident")
    entry = scene.reads("Alerts", "WexPartitionHalted")
    assert kind in await scene.runs(entry, "wex incidents list")
    await scene.runs(entry, "wex incidents show ID", ID=await _number(scene, "incidents"))
    remedy = scene.reads("Incidents", kind)
    await scene.write(publish_again)
    await scene.runs(remedy, "wex incidents accept-gap TOPIC/PARTITION", types="y\n")
    await scene.is_well(verify=True)
    await scene.clears("WexPartitionHalted")


async def stuck_loop(scene: Scene) -> None:
    """Whoever reads the log stops reading, so that the next line waits for ever, and the loop with it."""
    await scene.publish(20)
    await scene.applies()
    scene.tell("happens", "nobody reads the log any more, and the pipe is full")
    scene.platform.block_log()
    await scene.publish(20)
    await scene.fires("WexLoopStuck")
    entry = scene.reads("Alerts", "WexLoopStuck")
    assert "standard error" in entry
    await scene.until(lambda: _ended(scene, 7), "the watchdog has ended it")
    scene.reads("Exit codes", "7 watchdog")
    scene.tell("ends", "with code 7; the platform starts it again")
    await scene.is_well()
    await scene.clears("WexLoopStuck")


@contextmanager
def small_disk(folder: Path, stack: LocalStack) -> Iterator[Path | None]:
    """A disk that can be filled without filling anybody else's; None where none can be mounted."""
    place = folder / "small-disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MEGABYTES}m,mode=0700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        if stack.postgres.user != "-":
            os.chown(place, *map(int, stack.postgres.user.split(":")))
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=True)
