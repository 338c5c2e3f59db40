//! Pods of the tests, as a kubelet makes them.

use std::fs;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use outport_e2e::until::until;
use serde_json::{Value, json};

use super::cri::{
    Capabilities, ContainerConfig, ContainerId, ContainerMetadata, ContainerStatsResponse, ContainerStatus,
    ContainerStatusRequest, ContainerStatusResponse, CreateContainerRequest, EXITED, ExecSyncRequest,
    ExecSyncResponse, ImageSpec, KeyValue, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, LinuxPodSandboxConfig, Mount, Nothing, Number, PodId, PodSandboxConfig,
    PodSandboxMetadata, PodSandboxStatusResponse, Refused, RunPodSandboxRequest, SecurityProfile,
    StopContainerRequest,
};
use super::images::reference;
use super::node::{Node, cgroup};

/// A pod, which goes when it is dropped.
#[derive(Debug)]
pub(super) struct Pod<'n> {
    pub(super) node: &'n Node,
    id: String,
    config: PodSandboxConfig,
    /// The file that is its network namespace, as the node sees it.
    network: String,
    /// Its address.
    pub(super) address: String,
}

/// A container in the making.
#[derive(Debug, Clone)]
pub(super) struct Wanted(ContainerConfig);

/// A container.
#[derive(Debug)]
pub(super) struct Container<'n> {
    node: &'n Node,
    id: String,
    log: PathBuf,
}

/// The annotation of a pod that answers for its images.
pub(super) const TRUSTED: &[(&str, &str)] = &[("trusted", "true")];

impl<'n> Pod<'n> {
    /// Starts a pod with its sandbox alone.
    pub(super) fn start(node: &'n Node, handler: &str) -> Self {
        Self::annotated(node, handler, &[])
    }

    /// The same, with annotations of `outport.dev`: names and values.
    pub(super) fn annotated(node: &'n Node, handler: &str, annotations: &[(&str, &str)]) -> Self {
        Self::try_start(node, handler, annotations)
            .unwrap_or_else(|refused| panic!("{refused}\n{}", node.logs()))
    }

    fn try_start(node: &'n Node, handler: &str, annotations: &[(&str, &str)]) -> Result<Self, Refused> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("pod-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let config = config(node, &name, format!("{}/{name}", cgroup()), annotations);
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: handler.to_owned(),
        };
        let id: PodId = node.cri.call("RunPodSandbox", &request)?;
        let asked = PodId {
            id: id.id.clone(),
            verbose: true,
        };
        let status: PodSandboxStatusResponse = node.cri.call("PodSandboxStatus", &asked)?;
        let info: Value = serde_json::from_str(&status.info["info"]).expect("JSON");
        let namespaces = info["runtimeSpec"]["linux"]["namespaces"]
            .as_array()
            .expect("namespaces");
        let network = namespaces
            .iter()
            .find(|namespace| namespace["type"] == "network")
            .expect("one for the network");
        Ok(Self {
            node,
            id: id.id,
            config,
            network: network["path"].as_str().expect("a path").to_owned(),
            address: status
                .status
                .and_then(|status| status.network)
                .expect("a network")
                .ip,
        })
    }

    /// Makes a container and starts it.
    pub(super) fn run(&self, wanted: Wanted) -> Container<'n> {
        self.try_run(wanted)
            .unwrap_or_else(|refused| panic!("{refused}\n{}", self.node.logs()))
    }

    /// The same, or what a person is told.
    pub(super) fn try_run(&self, wanted: Wanted) -> Result<Container<'n>, Refused> {
        let mut config = wanted.0;
        let log_name = {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            format!("{}.log", NUMBER.fetch_add(1, Ordering::Relaxed))
        };
        if let Some(metadata) = &mut config.metadata {
            metadata.name += &log_name;
        }
        config.log_path = log_name.clone();
        let request = CreateContainerRequest {
            pod_sandbox_id: self.id.clone(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        let id: ContainerId = self.node.cri.call("CreateContainer", &request)?;
        self.node.cri.call::<Nothing>("StartContainer", &id)?;
        Ok(Container {
            node: self.node,
            id: id.id,
            log: PathBuf::from(&self.config.log_directory).join(log_name),
        })
    }

    /// Runs one test once more, in the network namespace of the pod, where [`Pod::around`] is this pod.
    pub(super) fn run_inside(&self, test: &str) -> Output {
        let (folder, first) = self.node.handle();
        let name = self.config.metadata.as_ref().expect("set at first").name.clone();
        let parent = &self.config.linux.as_ref().expect("set at first").cgroup_parent;
        // Links that are absolute would be followed from the tests' own root.
        let network = self.network.replacen("/var/run/", "/run/", 1);
        let network = self.node.root().join(network.trim_start_matches('/'));
        Command::new("nsenter")
            .arg(format!("--net={}", network.display()))
            .arg(std::env::current_exe().expect("a test knows its own file"))
            .args(["--exact", test, "--nocapture"])
            .env(
                AROUND,
                json!([folder, first, self.id, name, self.address, parent]).to_string(),
            )
            .output()
            .expect("nsenter (package util-linux)")
    }

    /// The pod that this process runs in by [`Pod::run_inside`]. It is that of the other process, which removes it.
    pub(super) fn around() -> Option<ManuallyDrop<Pod<'static>>> {
        let around = std::env::var(AROUND).ok()?;
        let (folder, first, id, name, address, parent): (PathBuf, u32, String, String, String, String) =
            serde_json::from_str(&around).expect("from the other process");
        let node: &'static Node = Box::leak(Box::new(Node::of_another(folder, first)));
        Some(ManuallyDrop::new(Pod {
            node,
            id,
            config: config(node, &name, parent, TRUSTED),
            network: "/proc/self/ns/net".to_owned(),
            address,
        }))
    }

    /// A command in the pod's network namespace.
    pub(super) fn inside(&self, words: &[&str]) -> Command {
        let mut command = self.node.inside(&["nsenter", &format!("--net={}", self.network)]);
        command.args(words);
        command
    }

    /// What curl(1) gets from within the pod: status and body.
    pub(super) fn ask(&self, url: &str, body: Option<&str>) -> Result<(u16, String), String> {
        let mut curl = self.inside(&[
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--write-out",
            "\n%{http_code}",
        ]);
        if let Some(body) = body {
            curl.args(["--data-binary", body]);
        }
        let output = curl.arg(url).output().expect("curl (package curl)");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let (body, status) = said.rsplit_once('\n').expect("a status");
        Ok((status.parse().expect("a status"), body.to_owned()))
    }

    /// Waits until an address in the pod answers, and answers what it says.
    #[track_caller]
    pub(super) fn answer(&self, container: &Container<'_>, url: &str) -> String {
        let mut answer = None;
        until(format_args!("{url} answers"), || {
            let status = container.status();
            assert_ne!(status.state, EXITED, "{status:?}\n{}", container.logs());
            answer = self.ask(url, None).ok();
            answer.is_some()
        });
        let (status, body) = answer.expect("an answer");
        assert_eq!(status, 200, "{body}\n{}", container.logs());
        body
    }
}

/// The variable that says in which pod a process of the tests is.
const AROUND: &str = "OUTPORT_TEST_INSIDE_POD";

fn config(node: &Node, name: &str, cgroup_parent: String, annotations: &[(&str, &str)]) -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            uid: name.to_owned(),
            namespace: "test".to_owned(),
        }),
        hostname: name.to_owned(),
        log_directory: node.path("logs").join(name).to_string_lossy().into_owned(),
        annotations: annotations
            .iter()
            .map(|(name, value)| (format!("outport.dev/{name}"), (*value).to_owned()))
            .collect(),
        linux: Some(LinuxPodSandboxConfig { cgroup_parent }),
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let id = PodId {
            id: self.id.clone(),
            verbose: false,
        };
        for step in ["StopPodSandbox", "RemovePodSandbox"] {
            if let Err(refused) = self.node.cri.call::<Nothing>(step, &id) {
                eprintln!("{step}: {refused}");
            }
        }
    }
}

impl Wanted {
    /// A container of an image, with the profile of seccomp that the runtime has, and no way to more rights.
    pub(super) fn image(name: &str) -> Self {
        Self(ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: name.to_owned(),
                attempt: 0,
            }),
            image: Some(ImageSpec {
                image: reference(name),
            }),
            linux: Some(LinuxContainerConfig {
                resources: Some(LinuxContainerResources::default()),
                security_context: Some(LinuxContainerSecurityContext {
                    no_new_privs: true,
                    seccomp: Some(SecurityProfile { profile_type: 0 }),
                    ..LinuxContainerSecurityContext::default()
                }),
            }),
            ..ContainerConfig::default()
        })
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.0.envs.push(KeyValue {
            key: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    pub(super) fn command(mut self, words: &[&str]) -> Self {
        self.0.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// A volume, which the container cannot write to.
    pub(super) fn volume(mut self, from: &std::path::Path, to: &str) -> Self {
        self.0.mounts.push(Mount {
            container_path: to.to_owned(),
            host_path: from.to_string_lossy().into_owned(),
            readonly: true,
        });
        self
    }

    pub(super) fn user(mut self, user: i64) -> Self {
        let security = self.security();
        security.run_as_user = Some(Number { value: user });
        security.run_as_group = Some(Number { value: user });
        self
    }

    pub(super) fn read_only(mut self) -> Self {
        self.security().readonly_rootfs = true;
        self
    }

    pub(super) fn without_capabilities(mut self) -> Self {
        let all = vec!["ALL".to_owned()];
        self.security().capabilities = Some(Capabilities {
            drop_capabilities: all,
        });
        self
    }

    pub(super) fn memory(mut self, bytes: i64) -> Self {
        self.resources().memory_limit_in_bytes = bytes;
        self
    }

    /// So many thousandths of a processor.
    pub(super) fn processor(mut self, thousandths: i64) -> Self {
        let resources = self.resources();
        resources.cpu_period = 100_000;
        resources.cpu_quota = thousandths * 100;
        self
    }

    fn security(&mut self) -> &mut LinuxContainerSecurityContext {
        self.0
            .linux
            .as_mut()
            .and_then(|linux| linux.security_context.as_mut())
            .expect("set at first")
    }

    fn resources(&mut self) -> &mut LinuxContainerResources {
        self.0
            .linux
            .as_mut()
            .and_then(|linux| linux.resources.as_mut())
            .expect("set at first")
    }
}

impl Container<'_> {
    /// How it is.
    pub(super) fn status(&self) -> ContainerStatus {
        self.inspect().status.expect("a status")
    }

    /// Its process, as the node sees it.
    pub(super) fn process(&self) -> u64 {
        self.information()["pid"].as_u64().expect("a number")
    }

    /// The configuration that runc was given is not told: this is what containerd made before it was edited.
    fn information(&self) -> Value {
        serde_json::from_str(&self.inspect().info["info"]).expect("JSON")
    }

    fn inspect(&self) -> ContainerStatusResponse {
        let asked = ContainerStatusRequest {
            container_id: self.id.clone(),
            verbose: true,
        };
        self.node
            .cri
            .call("ContainerStatus", &asked)
            .expect("a container of our own")
    }

    /// Bytes of memory in use, by what a kubelet would see.
    pub(super) fn memory(&self) -> u64 {
        let id = ContainerId { id: self.id.clone() };
        let stats: ContainerStatsResponse = self
            .node
            .cri
            .call("ContainerStats", &id)
            .expect("a container that runs");
        let memory = stats
            .stats
            .and_then(|stats| stats.memory)
            .and_then(|memory| memory.working_set_bytes);
        memory.expect("an amount").value
    }

    /// A value of its control group: of the first of these controllers and files that is there. The controller is empty in
    /// the second version of control groups.
    pub(super) fn control(&self, files: &[(&str, &str)]) -> String {
        let groups = self
            .node
            .inside(&["cat", &format!("/proc/{}/cgroup", self.process())])
            .output()
            .expect("cat");
        let groups = String::from_utf8_lossy(&groups.stdout).into_owned();
        let found = files.iter().find_map(|(controller, file)| {
            let group = groups.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, group) = rest.split_once(':')?;
                controllers
                    .split(',')
                    .any(|own| own == *controller)
                    .then_some(group)
            })?;
            fs::read_to_string(format!("/sys/fs/cgroup/{controller}{group}/{file}")).ok()
        });
        found
            .unwrap_or_else(|| panic!("no {files:?}: {groups}"))
            .trim()
            .to_owned()
    }

    /// What it wrote, without what the runtime puts before each line.
    pub(super) fn logs(&self) -> String {
        let written = fs::read_to_string(&self.log).unwrap_or_default();
        let lines = written
            .lines()
            .map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Sends a signal to its process.
    pub(super) fn signal(&self, name: &str) {
        let sent = self
            .node
            .inside(&["kill", &format!("-{name}"), &self.process().to_string()])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// Runs a program in it, as a probe does: its exit code, and what it says.
    pub(super) fn exec(&self, words: &[&str]) -> Result<(i32, String), Refused> {
        let request = ExecSyncRequest {
            container_id: self.id.clone(),
            cmd: words.iter().map(|word| (*word).to_owned()).collect(),
            timeout: 60,
        };
        let response: ExecSyncResponse = self.node.cri.call("ExecSync", &request)?;
        let said = String::from_utf8_lossy(&response.stdout).into_owned();
        Ok((response.exit_code, said))
    }

    /// SIGTERM, and so many seconds later SIGKILL.
    pub(super) fn stop(&self, grace: i64) {
        let request = StopContainerRequest {
            container_id: self.id.clone(),
            timeout: grace,
        };
        self.node
            .cri
            .call::<Nothing>("StopContainer", &request)
            .expect("stopped");
    }

    /// Waits for its end.
    #[track_caller]
    pub(super) fn ended(&self) -> ContainerStatus {
        until("the container ends", || self.status().state == EXITED);
        self.status()
    }
}
