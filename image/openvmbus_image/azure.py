# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What Azure gives a virtual machine when it starts for the first time, as far as cloud-init and
waagent ask for it:

    a DVD with ovf-env.xml: host name, user, key, custom data
    an empty disk for what may be lost, and the three at the places that udev's rules name
    WireServer at 168.63.129.16: protocol versions, goal state and what it names; it is told how
      the guest is (health), and the thumbprint of its key
    the agent's plug-in of the host, at the same address, port 32526: versions, health, status
    the metadata service at 169.254.169.254: the machine, its network, its user
    DHCP option 245, which names WireServer

A user network of openvmbus redirects these addresses to the three ports that are served here, on
this machine's loopback address only. Facts: Microsoft's "Azure Instance Metadata Service" and "What
is IP address 168.63.129.16", and what cloud-init 22.4 and waagent 2.7 request.
"""
import base64
import http.server
import json
import os
import re
import struct
import threading
import urllib.parse
import uuid
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .common import Refused, call, last_line, need, printable

ASSET_TAG = "7783-7084-3265-9085-8269-3286-77"
WIRE_SERVER, METADATA = "168.63.129.16", "169.254.169.254"
PLUGIN_PORT = 32526
DHCP_OPTION = "245:a83f8110"  # the address of WireServer
CONTROLLER = "f8b3781a-1e82-4818-a1c3-63d806ec15bb"  # of the disks that every machine has
SYSTEM_LUN, RESOURCE_LUN, DVD_LUN = 0, 1, 2
RESOURCE_MIB = 1024
LABEL = "rd_rdfe_stable.161212-1209"  # of the DVD, as Azure's has it
MAC = "00:0d:3a:00:00:01"
GUEST = "10.0.2.15"
PROTOCOL = "2012-11-30"
VERSIONS = ("2017-04-02", "2017-08-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01",
            "2019-02-01", "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01",
            "2019-08-15", "2019-11-01", "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01",
            "2020-12-01", "2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01", "2021-10-01",
            "2021-08-01", "2021-11-01", "2021-11-15", "2021-12-13")
EXTENDED_FROM = "2021-03-01"
CUSTOM_DATA_MAX = 65535
BODY_MAX = 4 << 20  # of a request
HEALTH_MAX = 64 << 10  # of a report, so that what its entities expand to is bounded too
REQUESTS_MAX = 100  # different ones that are remembered
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass
class Provision:
    """What the user wants the machine to be."""
    user: str
    hostname: str
    keys: list = field(default_factory=list)
    custom_data: bytes = b""
    vm_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    container: str = field(default_factory=lambda: str(uuid.uuid4()))
    deployment: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def instance(self):
        """The name of the role's instance."""
        return f"{self.deployment}.{self.hostname}"


def provision_of(user, key_path, data_path, hostname):
    """A Provision from the command line; refuses what a guest could not use."""
    if not NAME.fullmatch(user):
        raise Refused(f"--user {user}: give a user's name of small letters, digits, _ and -")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", hostname):
        raise Refused(f"--hostname {hostname}: give letters, digits and -, at most 63")
    keys = []
    if key_path:
        for line in read("ssh-key", key_path, 1 << 20).decode("utf-8", "replace").splitlines():
            if line.strip() and not line.startswith("#"):
                keys.append(line.strip())
        if not keys or not all(re.match(r"(ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+", k) for k in keys):
            raise Refused(f"--ssh-key {key_path}: give a public key, such as id_ed25519.pub")
    data = read("custom-data", data_path, CUSTOM_DATA_MAX) if data_path else b""
    return Provision(user, hostname, keys, data)


def read(option, path, limit):
    """A small file."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Refused(f"--{option} {path}: {error.strerror}") from None
    if len(data) > limit:
        raise Refused(f"--{option} {path}: at most {limit} bytes")
    return data


# The DVD

def ovf_env(p):
    """ovf-env.xml."""
    keys = "".join(
        f"<PublicKey><Path>/home/{p.user}/.ssh/authorized_keys</Path>"
        f"<Value>{escape(key)}</Value></PublicKey>" for key in p.keys)
    data = base64.b64encode(p.custom_data).decode()
    return f"""<?xml version="1.0" encoding="utf-8"?>
<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1"
 xmlns:oe="http://schemas.dmtf.org/ovf/environment/1"
 xmlns:wa="http://schemas.microsoft.com/windowsazure"
 xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
 <wa:ProvisioningSection>
  <wa:Version>1.0</wa:Version>
  <LinuxProvisioningConfigurationSet xmlns="http://schemas.microsoft.com/windowsazure"
   i:type="LinuxProvisioningConfigurationSet">
   <ConfigurationSetType>LinuxProvisioningConfiguration</ConfigurationSetType>
   <HostName>{p.hostname}</HostName>
   <UserName>{p.user}</UserName>
   <DisableSshPasswordAuthentication>true</DisableSshPasswordAuthentication>
   {f"<SSH><PublicKeys>{keys}</PublicKeys></SSH>" if keys else ""}
   {f"<CustomData>{data}</CustomData>" if data else ""}
  </LinuxProvisioningConfigurationSet>
 </wa:ProvisioningSection>
 <wa:PlatformSettingsSection>
  <wa:Version>1.0</wa:Version>
  <PlatformSettings xmlns="http://schemas.microsoft.com/windowsazure">
   <KmsServerHostname>kms.core.windows.net</KmsServerHostname>
   <ProvisionGuestAgent>true</ProvisionGuestAgent>
   <GuestAgentPackageName i:nil="true"/>
   <PreprovisionedVm>false</PreprovisionedVm>
  </PlatformSettings>
 </wa:PlatformSettingsSection>
</Environment>
"""


def make_dvd(p, work):
    """The path of the DVD's image, made in the folder work."""
    need("genisoimage", "genisoimage")
    folder, path = os.path.join(work, "provision"), os.path.join(work, "provision.iso")
    os.mkdir(folder)
    with open(os.path.join(folder, "ovf-env.xml"), "w", encoding="utf-8") as file:
        file.write(ovf_env(p))
    made = call("genisoimage", "-quiet", "-udf", "-J", "-r", "-V", LABEL, "-o", path, folder)
    if made.returncode:
        raise Refused(f"the provisioning DVD could not be made: {last_line(made.stderr)}")
    return path


def place(lun):
    """Properties of a disk or DVD: where Azure has it."""
    return f",controller={CONTROLLER},lun={lun}"


def make_resource_disk(work):
    """The path of the temporary disk, made in the folder work: one partition, of the type that it has
    on Azure (7, NTFS), and no file system."""
    path = os.path.join(work, "resource")
    sectors = RESOURCE_MIB << 11
    entry = struct.pack("<B3xB3xII", 0, 7, 2048, sectors - 2048)
    with open(path, "wb") as file:
        file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
        file.truncate(sectors << 9)
    return path


# WireServer

VERSIONS_XML = f"""<?xml version="1.0" encoding="utf-8"?>
<Versions><Preferred><Version>{PROTOCOL}</Version></Preferred>
<Supported><Version>2015-04-05</Version><Version>{PROTOCOL}</Version></Supported></Versions>
"""


def goal_state(p):
    """The state that the machine shall be in: one start, without extensions or certificates."""
    config = f"http://{WIRE_SERVER}/machine/{p.container}/{p.instance}?comp=config"
    full = f"{config}&amp;incarnation=1&amp;type="
    return f"""<?xml version="1.0" encoding="utf-8"?>
<GoalState xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <Version>{PROTOCOL}</Version><Incarnation>1</Incarnation>
 <Machine><ExpectedState>Started</ExpectedState>
  <StopRolesDeadlineHint>300000</StopRolesDeadlineHint>
  <LBProbePorts><Port>16001</Port></LBProbePorts>
  <ExpectHealthReport>FALSE</ExpectHealthReport></Machine>
 <Container><ContainerId>{p.container}</ContainerId><RoleInstanceList><RoleInstance>
  <InstanceId>{p.instance}</InstanceId><State>Started</State><Configuration>
   <HostingEnvironmentConfig>{full}hostingEnvironmentConfig</HostingEnvironmentConfig>
   <SharedConfig>{full}sharedConfig</SharedConfig>
   <ExtensionsConfig>{full}extensionsConfig</ExtensionsConfig>
   <FullConfig>{full}fullConfig</FullConfig>
   <ConfigName>{p.deployment}.1.{p.deployment}.0.{p.hostname}.1.xml</ConfigName>
  </Configuration></RoleInstance></RoleInstanceList></Container>
</GoalState>
"""


def configs(p):
    """The documents that the goal state names."""
    return {
        "hostingEnvironmentConfig": f"""<?xml version="1.0" encoding="utf-8"?>
<HostingEnvironmentConfig version="1.0.0.0" goalStateIncarnation="1">
 <StoredCertificates/>
 <Deployment name="{p.deployment}" guid="{{{p.container}}}" incarnation="0">
  <Service name="openvmbus" guid="{{{p.container}}}"/>
  <ServiceInstance name="{p.deployment}.0" guid="{{{p.container}}}"/></Deployment>
 <Incarnation number="1" instance="{p.hostname}" guid="{{{p.container}}}"/>
 <Role guid="{{{p.container}}}" name="{p.hostname}" settleTimeSeconds="0"/>
 <Resources><Resource name="DiskStore" type="sharedDisk" request="1000" usage="0"/></Resources>
</HostingEnvironmentConfig>
""",
        "sharedConfig": f"""<?xml version="1.0" encoding="utf-8"?>
<SharedConfig version="1.0.0.0" goalStateIncarnation="1">
 <Deployment name="{p.deployment}" guid="{{{p.container}}}" incarnation="0"/>
 <Incarnation number="1" instance="{p.hostname}" guid="{{{p.container}}}"/>
 <Role guid="{{{p.container}}}" name="{p.hostname}" settleTimeSeconds="0"/>
 <LoadBalancerSettings timeoutSeconds="0" waitLoadBalancerProbeCount="8"/>
 <OutputEndpoints/>
 <Instances><Instance id="{p.instance}" address="{GUEST}"><FaultDomains randomId="0" updateId="0"
  updateCount="0"/><InputEndpoints/></Instance></Instances>
</SharedConfig>
""",
        "extensionsConfig": """<?xml version="1.0" encoding="utf-8"?>
<Extensions version="1.0.0.0" goalStateIncarnation="1"><GuestAgentExtension/></Extensions>
""",
    }


def health_of(body):
    """(state, substatus, description) of a health report, each one line; None: it is none."""
    try:
        root = ElementTree.fromstring(body) if len(body) <= HEALTH_MAX else None
    except (ElementTree.ParseError, ValueError, LookupError):  # LookupError: an unknown encoding
        root = None
    words = [printable(root.findtext(f".//{name}") or "").strip()[:200] if root is not None else ""
             for name in ("Health/State", "SubStatus", "Description")]
    return tuple(words) if words[0] else None


# The metadata service

def instance(p):
    """What /metadata/instance says."""
    keys = [{"keyData": key, "path": f"/home/{p.user}/.ssh/authorized_keys"} for key in p.keys]
    return {
        "compute": {
            "azEnvironment": "AzurePublicCloud", "customData": "", "location": "local",
            "name": p.hostname, "offer": "", "osType": "Linux", "placementGroupId": "",
            "plan": {"name": "", "product": "", "publisher": ""}, "platformFaultDomain": "0",
            "platformUpdateDomain": "0", "provider": "Microsoft.Compute", "publicKeys": keys,
            "publisher": "", "resourceGroupName": "openvmbus",
            "resourceId": f"/subscriptions/{p.container}/resourceGroups/openvmbus/providers/"
                          f"Microsoft.Compute/virtualMachines/{p.hostname}",
            "osProfile": {"adminUsername": p.user, "computerName": p.hostname,
                          "disablePasswordAuthentication": "true"},
            "sku": "", "subscriptionId": p.container, "tags": "", "tagsList": [], "userData": "",
            "version": "", "vmId": p.vm_id, "vmScaleSetName": "", "vmSize": "Standard_D2s_v3",
            "zone": "",
        },
        "network": {"interface": [{
            "ipv4": {"ipAddress": [{"privateIpAddress": GUEST, "publicIpAddress": ""}],
                     "subnet": [{"address": "10.0.2.0", "prefix": "24"}]},
            "ipv6": {"ipAddress": []}, "macAddress": MAC.replace(":", "").upper()}]},
    }


def look_up(tree, path):
    """The value below tree that a path of names and numbers leads to; KeyError: none."""
    for name in path:
        if isinstance(tree, list):
            tree = dict(zip(map(str, range(len(tree))), tree)).get(name)
        else:
            tree = tree.get(name) if isinstance(tree, dict) else None
        if tree is None:
            raise KeyError(name)
    return tree


# Serving

class Answer(Exception):
    """An answer to a request: how its handling ends."""

    def __init__(self, status, body="", kind="text/xml; charset=utf-8"):
        super().__init__(status)
        self.status, self.kind = status, kind
        self.body = body if isinstance(body, str) else json.dumps(body)


def as_json(status, body):
    """An Answer in JSON."""
    return Answer(status, body, "application/json; charset=utf-8")


class Handler(http.server.BaseHTTPRequestHandler):
    """One request to one of the services; the server is the Azure that it belongs to."""
    protocol_version = "HTTP/1.1"
    timeout = 30
    role = ""

    def log_message(self, *_):
        """Nothing: what was asked is remembered instead."""

    def handle_one(self):
        """Any method."""
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= BODY_MAX or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self.send(Answer(413))
        body = self.rfile.read(length)
        try:
            getattr(self.server.azure, self.role)(self, body)
            answer = Answer(404)
        except Answer as found:
            answer = found
        except ValueError:  # of urllib: a path or parameters that are none
            answer = Answer(400)
        self.server.azure.remember(self.role, self.command, self.path, answer.status)
        return self.send(answer)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_one

    def send(self, answer):
        """The bytes of an answer."""
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @property
    def place(self):
        """(path without its last slash, parameters)."""
        parts = urllib.parse.urlsplit(self.path)
        return parts.path.rstrip("/"), dict(urllib.parse.parse_qsl(parts.query))


class Server(http.server.ThreadingHTTPServer):
    """Bounded: a guest that opens connections without end waits for its own."""
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, azure, role, address):
        handler = type(role, (Handler,), {"role": role})
        self.azure = azure
        self.room = threading.BoundedSemaphore(32)
        super().__init__(address, handler)
        threading.Thread(target=self.serve_forever, args=(0.2,), daemon=True).start()

    def process_request(self, request, client_address):
        """In a thread, if there is room; else it is closed."""
        if self.room.acquire(timeout=1):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        """Gives the room back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, *_):
        """A guest that hangs up is no news."""


class Azure:
    """The services, and what the guest said to them. Roles are wire, plugin and metadata."""

    def __init__(self, provision, addresses=None):
        """addresses: where the services listen, by role; else at free ports of 127.0.0.1."""
        self.provision, self.on_health = provision, lambda *_: None
        self.lock = threading.Lock()
        self.requests = {}  # (role, method, path, status): how often
        self.health = None  # the last report
        self.thumbprint = ""
        self.servers = {role: Server(self, role, (addresses or {}).get(role, ("127.0.0.1", 0)))
                        for role in ("wire", "plugin", "metadata")}

    def port(self, role):
        """Where a service listens, on 127.0.0.1."""
        return self.servers[role].server_address[1]

    def network(self):
        """Properties of a user network that make this reachable where the guest expects it."""
        places = ((WIRE_SERVER, 80, "wire"), (WIRE_SERVER, PLUGIN_PORT, "plugin"),
                  (METADATA, 80, "metadata"))
        return f",mac={MAC},dhcp-option={DHCP_OPTION}" + "".join(
            f",redirect={address}:{port}-127.0.0.1:{self.port(role)}"
            for address, port, role in places)

    def close(self):
        """Ends the services."""
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    def remember(self, role, method, path, status):
        """A request, for the report."""
        key = (role, method, path[:200], status)
        with self.lock:
            if key in self.requests or len(self.requests) < REQUESTS_MAX:
                self.requests[key] = self.requests.get(key, 0) + 1

    def asked(self):
        """What was asked, in order: one text each."""
        with self.lock:
            return [f"{role}: {method} {path} {status}" + (f" ({count} times)" if count > 1 else "")
                    for (role, method, path, status), count in self.requests.items()]

    def wire(self, request, body):
        """WireServer."""
        path, parameters = request.place
        what = parameters.get("comp")
        if path == "" and what == "versions" and request.command == "GET":
            raise Answer(200, VERSIONS_XML)
        if path == "/HealthService":
            raise Answer(200)
        if request.headers.get("x-ms-version") is None:
            raise Answer(400, "<Error><Code>MissingHeader</Code></Error>")
        if request.command == "GET" and path.startswith("/machine"):
            if what == "goalstate":
                raise Answer(200, goal_state(self.provision))
            if what == "config" and parameters.get("type") in configs(self.provision):
                raise Answer(200, configs(self.provision)[parameters["type"]])
        if request.command == "POST" and path == "/machine":
            self.take(what, body)

    def take(self, what, body):
        """What the guest reports."""
        if what == "health":
            health = health_of(body)
            if not health:
                raise Answer(400, "<Error><Code>InvalidHealthReport</Code></Error>")
            self.health = health
            self.on_health(*health)
            raise Answer(200)
        if what == "roleProperties":
            found = re.search(rb'CertificateThumbprint" value="([^"]*)"', body)
            self.thumbprint = found[1].decode("utf-8", "replace")[:100] if found else ""
            raise Answer(202)
        if what == "telemetrydata":
            raise Answer(200)

    @staticmethod
    def plugin(request, _):
        """The host's plug-in for the agent: takes status and logs, has no settings of its own."""
        path, _ = request.place
        if request.command == "GET" and path == "/versions":
            raise as_json(200, ["2015-09-01"])
        if request.command == "GET" and path == "/health":
            raise Answer(200)
        if request.command == "PUT" and path in ("/status", "/vmAgentLog"):
            raise Answer(200)

    def metadata(self, request, _):
        """The instance metadata service."""
        path, parameters = request.place
        if request.headers.get("Metadata", "").lower() != "true" or \
                request.headers.get("X-Forwarded-For"):
            raise as_json(400, {"error": "Bad request. Required metadata header not specified"})
        if request.command != "GET":
            raise as_json(405, {"error": "Method Not Allowed"})
        if path == "/metadata/versions":
            raise as_json(200, {"apiVersions": list(VERSIONS)})
        version = parameters.get("api-version")
        if version not in VERSIONS:
            raise as_json(400, {"error": "Bad request. api-version is invalid or was not specified "
                                         "in the request.", "newest-versions": VERSIONS[-3:]})
        if path == "/metadata/instance" or path.startswith("/metadata/instance/"):
            self.answer_instance(path.split("/")[3:], parameters, version)
        raise as_json(404, {"error": "Not found"})

    def answer_instance(self, path, parameters, version):
        """A part of the instance, in the format that was asked for."""
        tree = instance(self.provision)
        if parameters.get("extended") == "true" and version >= EXTENDED_FROM:
            tree["extended"] = {"compute": {"hasCustomData": bool(self.provision.custom_data),
                                            "ppsType": "None"}}
        try:
            value = look_up(tree, path)
        except KeyError:
            raise as_json(404, {"error": "Not found"}) from None
        if parameters.get("format") != "text":
            raise as_json(200, value)
        if isinstance(value, dict):
            value = "\n".join(f"{k}/" if isinstance(v, (dict, list)) else k
                              for k, v in value.items())
        elif isinstance(value, list):
            value = "\n".join(f"{i}/" for i in range(len(value)))
        raise Answer(200, str(value), "text/plain; charset=utf-8")
