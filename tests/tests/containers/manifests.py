"""Reads every manifest of deploy/kubernetes, and fails unless Kubernetes' own schemas have nothing to say.

The chart is rendered as far as its templates go, which is values as JSON, and has to be the plain manifests then.

What `outport export` wrote for some apps, into files NAME.TARGET.yaml of another directory, is held against the same schemas,
and the NetworkPolicy of the example against what was exported for its app.

    manifests.py DIRECTORY VERSION_OF_KUBERNETES EXPORTED
"""

import json
import pathlib
import re
import sys

import kubernetes_validate
import yaml

ROOT, VERSION, EXPORTED = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
# Custom resources, of which Kubernetes has no schema; those of their makers are not to be had here.
CUSTOM = {
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("cilium.io/v2", "CiliumNetworkPolicy"),
}


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
exported = {path.name: documents(path.read_text()) for path in EXPORTED.glob("*.yaml")}
assert len(exported) >= 6, exported
for document in [document for _, document in everything] + sum(exported.values(), []):
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", document["metadata"]["name"]), document["metadata"]
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

# The policy of the example lets its app do what the app's list says as far as a NetworkPolicy can: whatever was exported is in
# it. Beside that it has what takes a choice: who comes in, and the addresses of names.
[policy] = exported["shop.networkpolicy.yaml"]
example = objects["NetworkPolicy", "shop"]
assert policy["spec"]["podSelector"] == example["spec"]["podSelector"], policy
assert set(policy["spec"]["policyTypes"]) <= set(example["spec"]["policyTypes"]), policy


def flat(rules):
    """Who is reached where, one by one."""
    return {
        (json.dumps(to, sort_keys=True), port["port"], port.get("endPort"), port["protocol"])
        for rule in rules
        for to in rule["to"]
        for port in rule["ports"]
    }


missing = flat(policy["spec"]["egress"]) - flat(example["spec"]["egress"])
assert not missing, missing
[cilium] = exported["shop.cilium.yaml"]
assert "api.payments.example.com" in json.dumps(cilium), cilium

# The check itself finds what is misspelt.
pod["spec"]["runtimeClasName"] = "outport"
try:
    kubernetes_validate.validate(objects["Deployment", "shop"], VERSION, strict=True)
except kubernetes_validate.ValidationError:
    print(f"{checked} objects, and a chart of {len(of_chart)}")
else:
    sys.exit("a key that nobody knows was not found")
