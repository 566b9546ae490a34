"""Reads a session as docs/session-format.md tells it: python3 read_session.py DIR
Prints the events of each flow as a line of JSON; ends with 1 where something is not as it was written."""
import base64, glob, hashlib, json, os, re, subprocess, sys

table = list(range(256))  # CRC-32C: the reflected polynomial of Castagnoli
for _ in range(8):
    table = [n >> 1 ^ (n & 1) * 0x82F63B78 for n in table]

def parse(line, crc=0xFFFFFFFF):
    seal = re.search(rb',"crc":"([0-9a-f]{8})"}$', line)
    for octet in line[:seal.start()] if seal else b"":
        crc = crc >> 8 ^ table[crc & 255 ^ octet]
    if seal and int(seal[1], 16) != crc ^ 0xFFFFFFFF:
        return {"damage": "changed after it was written"}
    try:
        return json.loads(line or b"{}")
    except ValueError as error:
        return {"damage": str(error)}

folder, flows, problems = sys.argv[1], {}, []
about = json.load(open(f"{folder}/session.json"))
assert about["format"] == 1, "this reads format 1"
bodies = {hashlib.file_digest(open(it, "rb"), "sha256").hexdigest() for it in glob.glob(f"{folder}/bodies/*/*.bin")}
logs = {re.sub(r"\.zst$", "", path) for path in glob.glob(f"{folder}/log-*.jsonl*") if not path.endswith(".tmp")}
for log in (logs := sorted(logs, key=lambda path: int(re.search(r"(\d+)\.jsonl$", path)[1]))):
    packed = ["zstd", "-dcq", log + ".zst"]  # where the plain one is there as well, that counts
    text = open(log, "rb").read() if os.path.exists(log) else subprocess.check_output(packed)
    lines = [parse(line) for line in text.split(b"\n")]
    for number, line in enumerate(lines, 1):
        if "body" in line:
            body = line["body"]
            octets = body["text"].encode() if "text" in body else base64.b64decode(body["base64"])
            bodies.add(body["sha256"] if about.get("trimmed") else hashlib.sha256(octets).hexdigest())
        elif "gap" in line or "damage" in line and (log != logs[-1] or number < len(lines)):  # else a crash tore it
            problems.append(f"{log}:{number}: {line}")
        elif "opened" in line.get("event", "") or line.get("flow") in flows:  # else it stands behind a gap
            event = line["event"] if isinstance(line["event"], dict) else {line["event"]: True}
            flows.setdefault(line["flow"], {"flow": line["flow"]}).update(event)
for number, flow in flows.items():
    print(json.dumps(flow))
    for body in [flow["finished"][side] for side in ("request_body", "response_body") if "finished" in flow]:
        kept = body if body["kept"] == "whole" else body["kept"]["prefix"] if "prefix" in body["kept"] else None
        if kept and kept["digest"][7:] not in bodies:
            problems.append(f"flow {number}: no body is what {kept['digest']} names")
sys.exit("\n".join(problems) or 0)
