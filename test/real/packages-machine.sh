# A Debian machine with systemd as process 1, out of a layer over this one's root: mounts, processes, network, /tmp, /run and control group of
# its own. Runs in a mount namespace of its own, as root.
# Arguments: an empty directory for the layer; two that the machine sees as /packages/first and /packages/next.
set -eu
layers=$1
first=$2
next=$3

mount -t tmpfs -o mode=0755 tmpfs "$layers"
mkdir "$layers/upper" "$layers/work" "$layers/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" "$layers/root"
cd "$layers/root"

# Nothing of what this machine has but Debian's own: no services but sshd, no keys, nothing of ours.
rm -rf etc/systemd/system/*.wants etc/systemd/system/countersign* etc/default/countersign* etc/credstore.encrypted
rm -rf var/lib/man-db/auto-update var/lib/countersign* usr/local/bin/countersign* root/.ssh var/log/journal var/lib/systemd/credential.secret
rm -rf etc/ssh/ssh_host_* etc/ssh/sshd_config.d etc/ssh/countersign* etc/ssh/*-cert.pub
rm -f etc/machine-id etc/hostname etc/hosts usr/sbin/policy-rc.d
mkdir -p etc/ssh/sshd_config.d packages/first packages/next
cp usr/share/openssh/sshd_config etc/ssh/sshd_config
systemd-id128 new >etc/machine-id
printf 'web1\n' >etc/hostname
printf '127.0.0.1 localhost ca.example.internal\n127.0.0.2 web1.example.internal web1\n' >etc/hosts
ssh-keygen -A -f "$layers/root" >/dev/null
systemctl --root="$layers/root" --quiet enable ssh.service
cd /

# So that two machines do not meet, nor their leftovers: /run of this one, and control groups.
mount -t tmpfs -o mode=0755 tmpfs /run
found=
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ ! -e "$hierarchy/cgroup.procs" ] || found=yes
done
[ -n "$found" ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  if [ -e "$hierarchy/cgroup.procs" ]; then
    mkdir "$hierarchy/countersign-$$" && echo $$ >"$hierarchy/countersign-$$/cgroup.procs"
  fi
done

exec systemd-nspawn --quiet --directory="$layers/root" --machine="countersign-$$" --hostname=web1 --register=no --keep-unit \
  --private-network --resolv-conf=off --timezone=off --link-journal=no --tmpfs=/tmp --tmpfs=/var/tmp --bind-ro="$first:/packages/first" \
  --bind-ro="$next:/packages/next" \
  --console=read-only --boot -- --show-status=no
