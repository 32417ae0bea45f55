# A machine of the documentation's test, from inside its namespaces: a Debian host as it comes, on layers that go when the machine goes.
# Arguments: a directory for the layers, the full name of the machine. Prints `ready` and stays.
set -eu
layers=$1
name=$2

mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$layers"
cp /etc/resolv.conf "$layers/resolv.conf"

overlay() {
  mkdir -p "$layers/$1/upper" "$layers/$1/work"
  mount -t overlay overlay -o "lowerdir=$2,upperdir=$layers/$1/upper,workdir=$layers/$1/work" "$2"
}
overlay etc /etc
overlay var /var
overlay root /root
overlay home /home
overlay local /usr/local
overlay srv /srv
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/sshd /run/lock

hostname "$name"
echo "$name" >/etc/hostname
rm -f /etc/resolv.conf /etc/hosts
cp "$layers/resolv.conf" /etc/resolv.conf
printf '127.0.0.1 localhost\n127.0.1.1 %s %s\n' "$name" "${name%%.*}" >/etc/hosts

# OpenSSH as Debian installs it, with keys of its own, and nobody's habits.
rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d /etc/ssh/ssh_known_hosts /etc/ssh/*-cert.pub /root/.ssh
mkdir -p /etc/ssh/sshd_config.d /root
[ ! -f /usr/share/openssh/sshd_config ] || cp /usr/share/openssh/sshd_config /etc/ssh/sshd_config
ssh-keygen -A >/dev/null

# Nothing of us, until a page says so.
rm -rf /var/lib/countersign* /etc/countersign* /usr/local/bin/countersign* /etc/systemd/system/countersign*

echo ready
exec env --ignore-signal=CHLD sleep infinity # so that orphans are reaped
