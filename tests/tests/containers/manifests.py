"""Reads every manifest of deploy/kubernetes, and fails unless Kubernetes' own schemas have nothing to say.

The chart is rendered as far as its templates go, which is values as JSON, and has to be the plain manifests then.

    manifests.py DIRECTORY VERSION_OF_KUBERNETES
"""

import json
import pathlib
import re
import sys

import kubernetes_validate
import yaml

ROOT, VERSION = pathlib.Path(sys.argv[1]), sys.argv[2]
# Custom resources, of which Kubernetes has no schema.
CUSTOM = {("monitoring.coreos.com/v1", "PodMonitor")}


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def rendered(template, values):
    def value(found):
        path = found[1].split(".")
        assert path[0] == "", found[0]
        here = values
        for name in path[1:]:
            here = here[name]
        return json.dumps(here)

    text = re.sub(r"\{\{ ([\w.]+) \| toJson \}\}", value, template)
    assert "{{" not in text, f"more than a value: {text}"
    return documents(text)


def plain(name):
    return documents((ROOT / name).read_text())


checked = 0
files = sorted(path for path in ROOT.rglob("*.yaml") if "chart" not in path.parts)
assert len(files) >= 5, files
everything = [(path, document) for path in files for document in documents(path.read_text())]
for path, document in everything:
    kind = (document["apiVersion"], document["kind"])
    if kind in CUSTOM:
        continue
    kubernetes_validate.validate(document, VERSION, strict=True)
    checked += 1

chart = ROOT / "chart"
about = yaml.safe_load((chart / "Chart.yaml").read_text())
assert about["apiVersion"] == "v2" and about["name"] == "outport", about
values = {
    "Values": yaml.safe_load((chart / "values.yaml").read_text()),
    "Release": {"Namespace": "outport-system"},
}
of_chart = [
    document
    for path in sorted((chart / "templates").glob("*.yaml"))
    for document in rendered(path.read_text(), values)
]
# Whoever installs the chart makes the namespace.
expected = [
    document
    for name in ("node-installer.yaml", "runtimeclass.yaml")
    for document in plain(name)
    if document["kind"] != "Namespace"
]
assert of_chart == expected, "\n".join(json.dumps(document) for document in of_chart + expected)

# What refers to each other by name.
objects = {(document["kind"], document["metadata"]["name"]): document for _, document in everything}
pod = objects["Deployment", "shop"]["spec"]["template"]
container = pod["spec"]["containers"][0]
ports = {port["name"] for port in container["ports"]}
assert ("RuntimeClass", pod["spec"]["runtimeClassName"]) in objects
for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
    assert container[probe]["httpGet"]["port"] in ports, probe
for kind in ("NetworkPolicy", "PodMonitor", "Service"):
    spec = objects[kind, "shop"]["spec"]
    selector = spec.get("podSelector") or spec["selector"]
    assert selector.get("matchLabels", selector) == pod["metadata"]["labels"], kind
assert objects["PodMonitor", "shop"]["spec"]["podMetricsEndpoints"][0]["port"] in ports
assert objects["Service", "shop"]["spec"]["ports"][0]["targetPort"] in ports
for volume in pod["spec"]["volumes"]:
    assert ("ConfigMap", volume["configMap"]["name"]) in objects, volume

# The check itself finds what is misspelt.
pod["spec"]["runtimeClasName"] = "outport"
try:
    kubernetes_validate.validate(objects["Deployment", "shop"], VERSION, strict=True)
except kubernetes_validate.ValidationError:
    print(f"{checked} objects, and a chart of {len(of_chart)}")
else:
    sys.exit("a key that nobody knows was not found")
