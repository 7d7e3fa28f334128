"""Write the alert rules of deploy/observability as a PrometheusRule: `python -m deploy.k8s.rules`.

Without the store's part of ProcessAway: in production the store is not ours to watch.
"""

import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "observability" / "alerts.yml"
TARGET = Path(__file__).parent / "components" / "monitoring" / "rules.yaml"
HEAD = """\
# Written by `python -m deploy.k8s.rules` from deploy/observability/alerts.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ganzheng
  labels: {release: prometheus}
spec:
"""
NAMESPACE = 'namespace="ganzheng"'
STORE = re.compile(r'\s+or absent\(up\{job="minio"\}[^)]*\)')


def prometheus_rule() -> str:
    """Return the YAML. Raises ValueError when the rules no longer hold what has to be left out."""
    rules, count = STORE.subn("", SOURCE.read_text())
    if count != 1:
        raise ValueError(f"{SOURCE}: {count} times {STORE.pattern}")
    # A cluster's Prometheus watches others as well.
    rules = re.sub(r"\bup(?=\))", f"up{{{NAMESPACE}}}", rules)
    rules = re.sub(r"\bup\{(?!namespace)", f"up{{{NAMESPACE}, ", rules)
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in rules.splitlines())


if __name__ == "__main__":
    TARGET.write_text(prometheus_rule())
