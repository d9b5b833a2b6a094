"""Mosquitto: three brokers, bridged leaf to middle to top, QoS 1. It acknowledges from memory."""
import subprocess
import time

from bench import which
from peer import Servers, free_port

WINDOW = 1000  # unacknowledged messages, at each hop


def configuration(port, remote=None):
    text = f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages {WINDOW}\nmax_queued_messages 0\npersistence true\nuser root\n"
    if remote:
        text += f"connection up\naddress 127.0.0.1:{remote}\ntopic records out 1\ncleansession false\nbridge_protocol_version mqttv311\nrestart_timeout 1\n"
    return text


class Chain:
    def __init__(self, context):
        self.context, self.servers = context, Servers(context, "mosquitto")
        self.ports = {}
        for name, remote in (("top", None), ("middle", "top"), ("leaf", "middle")):
            self.ports[name] = free_port()
            place = self.servers.dir / name
            place.mkdir()
            path = self.servers.dir / f"{name}.conf"
            path.write_text(configuration(self.ports[name], self.ports.get(remote)) + f"persistence_location {place}/\n")
            self.servers.start([which("mosquitto"), "-c", path], self.ports[name])

    def measure(self, records, size):
        """Records a second until a subscriber at the top has all of them."""
        tool = self.context.build / "tests/bench/bench_peer_client"
        taker = subprocess.Popen([tool, "mqtt-take", str(self.ports["top"]), "records", str(records)], stdout=subprocess.PIPE, text=True)
        try:
            if taker.stdout.readline() != "ready\n":
                raise RuntimeError("mosquitto takes no subscriber")
            began = time.monotonic()
            self.context.call(tool, "mqtt", self.ports["leaf"], "records", records, size, WINDOW)
            return records / (float(taker.communicate(timeout=120)[0]) - began)
        finally:
            taker.kill()
            taker.wait()


def contenders(context, size):
    if not which("mosquitto"):
        return {"Mosquitto bridges, QoS 1": "mosquitto is not installed"}
    chain = Chain(context)
    return {"Mosquitto bridges, QoS 1": lambda: chain.measure(40000, size)}
