"""Interleaved rounds of named measurements and the ratios of their medians.

The machines are shared, so only what was measured in the same run, round about, may be compared.
"""

from collections.abc import Awaitable, Callable, Mapping
from statistics import median

Measurement = Callable[[], Awaitable[float]]


async def compare(title: str, unit: str, baseline: str, measurements: Mapping[str, Measurement], rounds: int) -> None:
    """Print min, median and max of each measurement's rates, and the ratio of medians to `baseline`."""
    rates: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            rates[name].append(await measure())
    print(f"\n{title} ({unit}, {rounds} interleaved rounds)")
    reference = median(rates[baseline])
    for name, values in rates.items():
        low, middle, high = min(values), median(values), max(values)
        print(f"  {name:34} {low:10,.0f} {middle:10,.0f} {high:10,.0f}   {middle / reference:6.2f} of {baseline}")
