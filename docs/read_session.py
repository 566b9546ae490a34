#!/usr/bin/env python3
"""Reads a session as docs/session-format.md tells it: python3 read_session.py DIR
Prints a line of JSON a flow and checks every line's crc and every kept body's hash; 1 at damage."""
import base64, glob, hashlib, json, os, re, subprocess, sys

TABLE = []  # CRC-32C: the reflected polynomial of Castagnoli
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)

def crc32c(octets, crc=0xFFFFFFFF):
    for octet in octets:
        crc = crc >> 8 ^ TABLE[crc & 255 ^ octet]
    return crc ^ 0xFFFFFFFF

def lines(folder):
    names = {os.path.basename(p)[:-4] if p.endswith(".zst") else os.path.basename(p)
             for p in glob.glob(os.path.join(folder, "log-*.jsonl*")) if re.search(r"\.jsonl(\.zst)?$", p)}
    order = sorted(names, key=lambda name: int(name[4:-6]))
    for name in order:
        path = os.path.join(folder, name)
        if os.path.exists(path):  # where both are there, the plain one counts
            text = open(path, "rb").read()
        else:
            text = subprocess.run(["zstd", "-dcq", path + ".zst"], stdout=subprocess.PIPE, check=True).stdout
        whole, torn = text.split(b"\n")[:-1], text.split(b"\n")[-1]
        if torn and name != order[-1]:
            whole.append(torn)  # only the last segment may end within a line
        for number, line in enumerate(whole, 1):
            seal = re.search(rb',"crc":"([0-9a-f]{8})"}$', line)
            if seal and int(seal[1], 16) != crc32c(line[:seal.start()]):
                yield f"{name}:{number}: changed after it was written", None
            else:
                try:
                    yield None, json.loads(line)
                except ValueError as error:
                    yield f"{name}:{number}: {error}", None

def kept(folder, digest, small, trimmed):
    name = digest.split(":")[1]
    if trimmed and name in small:
        return True  # somebody may have edited it
    path = os.path.join(folder, "bodies", name[:2], name + ".bin")
    octets = open(path, "rb").read() if os.path.exists(path) else small.get(name)
    return octets is not None and hashlib.sha256(octets).hexdigest() == name

folder, flows, small, problems = sys.argv[1], {}, {}, []
about = json.load(open(os.path.join(folder, "session.json")))
if about["format"] != 1:
    sys.exit("this reads format 1")
for problem, line in lines(folder):
    if problem:
        problems.append(problem)
    elif "body" in line:
        body = line["body"]
        small[body["sha256"]] = body["text"].encode() if "text" in body else base64.b64decode(body["base64"])
    elif "gap" in line:
        problems.append(f"{line['gap']['events']} events are missing")
    elif isinstance(line.get("event"), dict):  # a kind by itself, as "intercepted", is a string
        (kind, what), = line["event"].items()
        if kind == "opened" or line["flow"] in flows:  # else its beginning is in a gap
            flows.setdefault(line["flow"], {})[kind] = what
for number, flow in flows.items():
    end = flow.get("finished", {})
    for side in ("request_body", "response_body"):
        how = end.get(side, {}).get("kept", "nothing")
        digest = end[side]["digest"] if how == "whole" else how["prefix"]["digest"] if isinstance(how, dict) else None
        if digest and not kept(folder, digest, small, about.get("trimmed")):
            problems.append(f"flow {number}: its {side} is not what {digest} names")
    print(json.dumps({"flow": number, "target": flow["opened"].get("target"),
                      "status": flow.get("response", {}).get("status"), "state": end.get("state", "unfinished"),
                      "bytes": end.get("response_body", {}).get("bytes", 0)}))
print("\n".join(problems), file=sys.stderr)
sys.exit(1 if problems else 0)
