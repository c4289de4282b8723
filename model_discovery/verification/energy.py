"""Energy that a machine's processors took, where the kernel counts it (RAPL).

The counters are of whole packages: on a shared machine everybody's work is in them.
"""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter:
    """Energy of all processor packages since it was made.

    A counter begins again at 0 once it is full, after some forty minutes at full power: call `sample` more
    often than that.

    Parameters
    ----------
    root
        Where the kernel shows its counters.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        zones = sorted(root.glob("intel-rapl:*")) if root.is_dir() else []
        self._zones = [zone for zone in zones if zone.name.count(":") == 1]  # packages, not their parts
        self._last = [_read(zone / "energy_uj") for zone in self._zones]
        self._ranges = [_read(zone / "max_energy_range_uj") for zone in self._zones]
        self._microjoules = 0

    def sample(self) -> None:
        """Take in what was used since the last time."""
        for place, zone in enumerate(self._zones):
            before, now, full = self._last[place], _read(zone / "energy_uj"), self._ranges[place]
            if before is None or now is None:
                continue
            self._microjoules += now - before if now >= before else now - before + (full or 0)
            self._last[place] = now

    @property
    def joules(self) -> float | None:
        """What was used up to the last sample; ``None`` where a package cannot be read."""
        if not self._zones or None in self._last:
            return None
        return self._microjoules / 1e6


def _read(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # only the administrator may read it on many machines
        return None
