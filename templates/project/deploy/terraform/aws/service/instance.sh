# Makes an instance that serves the project: once, at its first start. What it serves, sabir-release is told by Systems Manager.
# Before this stand: app environment region bucket prefix volume port log_group packages. No braces in variables here: CloudFormation and
# Terraform would fill them in.
set -euo pipefail
state=/srv/$app/shared/.sabir
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
apt-get install -qy --no-install-recommends ca-certificates curl git python3-boto3 $packages

id sabir >/dev/null 2>&1 || useradd --system --create-home --home-dir /var/lib/sabir --shell /usr/sbin/nologin sabir

# The volume comes a little after the instance. It is given a file system only where it has none.
device=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$(echo "$volume" | tr -d -)
for _ in $(seq 300); do [ -e "$device" ] && break; sleep 1; done
[ -e "$device" ] || { echo "the volume $volume has not come within five minutes" >&2; exit 1; }
blkid "$device" >/dev/null || mkfs.ext4 -q -L sabir-state "$device"
mkdir -p "$state"
grep -q " $state " /etc/fstab || echo "UUID=$(blkid -s UUID -o value "$device") $state ext4 defaults,nofail,noatime 0 2" >>/etc/fstab
mountpoint -q "$state" || mount "$state"
# One that has grown.
resize2fs "$device" >/dev/null 2>&1 || true
chown sabir: "$state"
chmod 700 "$state"
mkdir -p "/srv/$app/releases" /var/lib/sabir/bin /var/log/sabir
chown sabir: "/srv/$app/releases" /var/log/sabir

mkdir -p /etc/sabir
cat >/etc/sabir/instance.conf <<END
app='$app'
environment='$environment'
region='$region'
bucket='$bucket'
prefix='$prefix'
port='$port'
END

cat >/usr/local/sbin/sabir-release <<'END'
#!/bin/bash
# sabir-release ENGINE_HASH BUNDLE_HASH: fetches both, sets the project up beside what is served, and hands over to it. Whatever goes
# wrong before the new one answers leaves the old one as it was.
# shellcheck source=/dev/null disable=SC2154
set -euo pipefail
. /etc/sabir/instance.conf
[ $# = 2 ] || { echo 'sabir-release ENGINE_HASH BUNDLE_HASH' >&2; exit 2; }
exec 9>/run/sabir-release.lock
flock -w 1800 9 || { echo 'another release is being made' >&2; exit 1; }
export AWS_DEFAULT_REGION=$region
home=/srv/$app
release=$home/releases/$(echo "$1$2" | sha256sum | cut -c1-16)
engine=/var/lib/sabir/bin/$1
state=$home/shared/.sabir
before=$(readlink "$home/current" || true)

fetch() { # OBJECT FILE HASH
  python3 -c 'import boto3, sys; boto3.client("s3").download_file(*sys.argv[1:])' "$bucket" "$prefix$1" "$2"
  [ -z "$3" ] || echo "$3  $2" | sha256sum --check --quiet || { rm -f "$2"; exit 1; }
}
answers() { curl -fsS -o /dev/null --max-time 5 "http://127.0.0.1:$port/readyz" 2>/dev/null; }
main_pid() { systemctl show -p MainPID --value "$app"; }

mountpoint -q "$state" || { echo "the volume with the state is not mounted at $state" >&2; exit 1; }
if [ ! -x "$engine" ]; then
  fetch "engines/$1" "$engine.part" "$1"
  chmod 755 "$engine.part"
  mv "$engine.part" "$engine"
fi
if [ ! -e "$release/.complete" ]; then
  rm -rf "$release"
  mkdir -p "$release"
  bundle=$(mktemp)
  trap 'rm -f "$bundle"' EXIT
  fetch "bundles/$2.tar.gz" "$bundle" ''
  # The hash is that of the archive before it was compressed.
  [ "$(gzip -dc "$bundle" | sha256sum | cut -c1-64)" = "$2" ] || { echo "bundles/$2.tar.gz is not what its name says" >&2; exit 1; }
  tar -xzf "$bundle" -C "$release" --no-same-owner
  ln -sfn "$state" "$release/.sabir"
  chown -R -h sabir: "$release"
  cd "$release"
  as_sabir() { runuser -u sabir -- env -i HOME=/var/lib/sabir PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 SABIR_ENV="$environment" AWS_DEFAULT_REGION="$region" "$engine" "$@"; }
  as_sabir setup
  as_sabir check
  touch "$release/.complete"
fi
# Who may ask: digests of tokens, which `sabir deploy` brings from where `sabir tokens add` made them.
mkdir -p "$state/$environment"
if fetch tokens.json "$state/tokens.part" '' 2>/dev/null; then
  install -o sabir -g sabir -m 600 "$state/tokens.part" "$state/$environment/tokens.json"
fi
rm -f "$state/tokens.part"
chown sabir: "$state/$environment"

point() { # RELEASE ENGINE
  ln -sfn "$1" "$home/current.new" && mv -T "$home/current.new" "$home/current"
  ln -sfn "$2" /var/lib/sabir/engine.new && mv -T /var/lib/sabir/engine.new /var/lib/sabir/engine
}
engine_before=$(readlink /var/lib/sabir/engine || true)
failed=
point "$release" "$engine"
if systemctl is-active --quiet "$app"; then
  # The running engine starts the new one beside itself and gives it the socket once it is ready: no request fails.
  old=$(main_pid)
  if [ "$before" = "$release" ] && [ "$engine_before" = "$engine" ]; then
    systemctl reload "$app"
  else
    systemctl kill -s USR2 --kill-whom=main "$app"
    for _ in $(seq 360); do
      [ "$(main_pid)" != "$old" ] && break
      sleep 1
    done
    [ "$(main_pid)" != "$old" ] || failed='the new release did not take over'
  fi
else
  systemctl start "$app" || failed='the service does not start'
fi
for _ in $(seq 60); do answers && break; sleep 1; done
answers || [ -n "$failed" ] || failed='/readyz does not answer 200'
if [ -n "$failed" ]; then
  echo "$failed; the log's end:" >&2
  tail -n 30 /var/log/sabir/serve.log >&2 || true
  if [ -n "$before" ] && [ "$before" != "$release" ]; then
    point "$before" "$engine_before"
    answers || systemctl restart "$app" || true
    echo "$before is served as before" >&2
  fi
  exit 1
fi
systemctl enable --quiet "$app"
# Those that nothing points at: the three newest stay.
ls -1dt "$home"/releases/*/ | tail -n +4 | while read -r one; do [ "$(readlink -f "$one")" = "$(readlink -f "$home/current")" ] || rm -rf "$one"; done
ctl=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl
[ ! -x "$ctl" ] || "$ctl" -a fetch-config -m ec2 -s -c file:/etc/sabir/cloudwatch.json >/dev/null
echo "serves $release"
END
chmod 755 /usr/local/sbin/sabir-release

cat >"/etc/systemd/system/$app.service" <<END
[Unit]
Description=$app, served by Sabir
After=network-online.target
Wants=network-online.target
RequiresMountsFor=$state

[Service]
Type=notify
NotifyAccess=all
User=sabir
WorkingDirectory=/srv/$app/current
Environment=SABIR_ENV=$environment PWD=/srv/$app/current HOME=/var/lib/sabir AWS_DEFAULT_REGION=$region LANG=C.UTF-8
ExecStart=/var/lib/sabir/engine serve --host 0.0.0.0 --port $port
ExecReload=/bin/kill -HUP \$MAINPID
TimeoutStartSec=6min
TimeoutStopSec=40
Restart=on-failure
RestartSec=2
LimitNOFILE=65536
StandardOutput=append:/var/log/sabir/serve.log
StandardError=append:/var/log/sabir/serve.log
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths=/srv/$app /var/lib/sabir /var/log/sabir
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
# Not MemoryDenyWriteExecute (interpreters compile as they run), not RestrictNamespaces (functions run in sandboxes made of them).

[Install]
WantedBy=multi-user.target
END

cat >/etc/logrotate.d/sabir <<END
/var/log/sabir/serve.log {
  size 50M
  rotate 4
  compress
  missingok
  copytruncate
  su sabir sabir
}
END

cat >/etc/sabir/cloudwatch.json <<END
{"agent": {"run_as_user": "root"},
 "logs": {"logs_collected": {"files": {"collect_list": [
   {"file_path": "/var/log/sabir/serve.log", "log_group_name": "$log_group", "log_stream_name": "{instance_id}"}]}}}}
END

systemctl daemon-reload
echo "ready for a release"
