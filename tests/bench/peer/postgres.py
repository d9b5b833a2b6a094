"""PostgreSQL: three servers, logical replication leaf to middle to top; COPY of 1,000 records a transaction at the leaf."""
import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from bench import until, which
from peer import Servers, answers, free_port

TRANSACTION = 1000
SETTINGS = {"wal_level": "logical", "shared_buffers": "256MB", "max_wal_size": "4GB", "unix_socket_directories": "''"}


class Chain:
    def __init__(self, context, programs):
        self.context, self.programs, self.servers = context, programs, Servers(context, "postgres")
        self.prefix, self.number = [], 0
        if os.geteuid() == 0:  # it refuses to run as root
            owner = pwd.getpwnam("postgres")
            self.prefix = ["setpriv", "--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--clear-groups", "--"]
            os.chown(self.servers.dir, owner.pw_uid, owner.pw_gid)
            for place in (self.servers.dir, *self.servers.dir.parents):  # it must be able to get there
                if place.stat().st_uid == 0 and not place.stat().st_mode & 1:
                    place.chmod(place.stat().st_mode | 0o011)
        self.ports = {name: self.start(name) for name in ("leaf", "middle", "top")}
        for name in self.ports:
            self.sql(name, "create table records (id bigint primary key, payload text)")
        for name in ("leaf", "middle"):
            self.sql(name, "create publication up for table records")
        for name, above in (("leaf", "middle"), ("middle", "top")):
            self.sql(above, f"create subscription from_{name} connection 'host=127.0.0.1 port={self.ports[name]} user=postgres dbname=postgres' publication up")

    def start(self, name):
        port, data = free_port(), self.servers.dir / name
        done = subprocess.run([*self.prefix, self.programs["initdb"], "-D", str(data), "-U", "postgres", "-A", "trust"], capture_output=True, text=True,
                              check=False, cwd=self.servers.dir)
        if done.returncode != 0:
            raise RuntimeError(f"initdb: {done.stderr[-600:]}")
        options = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value.strip(chr(39))}")]
        self.servers.start([*self.prefix, self.programs["postgres"], "-D", data, "-p", port, "-h", "127.0.0.1", *options], port)
        until(lambda: self.sql(name, "select 1", port=port, check=False) == "1", "PostgreSQL takes questions")
        return port

    def sql(self, name, text, port=None, check=True):
        done = subprocess.run([self.programs["psql"], "-h", "127.0.0.1", "-p", str(port or self.ports[name]), "-U", "postgres", "-qAtX", "-d", "postgres"],
                              input=text, capture_output=True, text=True, check=False)
        if check and (done.returncode != 0 or "ERROR" in done.stderr):
            raise RuntimeError(f"psql: {done.stderr[-600:]}")
        return done.stdout.strip()

    def measure(self, records, size):
        """Records a second until the top shows all of them."""
        payload = "x" * (size - 12)  # with its key and column sizes
        first = self.number + 1
        self.number += records
        script = "".join(f"copy records from stdin;\n{''.join(f'{key}{chr(9)}{payload}{chr(10)}' for key in range(at, at + TRANSACTION))}\\.\n"
                         for at in range(first, self.number + 1, TRANSACTION))
        began = time.monotonic()
        self.sql("leaf", script)
        until(lambda: self.sql("top", "select max(id) from records") == str(self.number), "all is at the top of PostgreSQL", 300)
        return records / (time.monotonic() - began)


def contenders(context, size):
    name = f"PostgreSQL logical replication, COPY of {TRANSACTION:,}"
    places = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))
    programs = {program: which(program, *places[-1:]) for program in ("initdb", "postgres", "psql")}
    missing = [program for program, path in programs.items() if not path]
    if not missing and os.geteuid() == 0 and "postgres" not in [user.pw_name for user in pwd.getpwall()]:
        missing = ["a user postgres"]
    if missing:
        return {name: f"not installed: {', '.join(missing)}"}
    chain = Chain(context, programs)
    return {name: lambda: chain.measure(200_000, size)}
