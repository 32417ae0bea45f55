/**
 * Patterns for the principals of users, as `certificates.user_principals` has them: those of {@link parseNamePattern}, and `*` for every
 * login name but those of system accounts. Whoever means root has to write root: a claim of an identity provider, which somebody else
 * may be able to set, must never become the administrator of every host by way of a wildcard.
 */
import { type NamePattern, parseNamePattern } from './name-pattern.ts';

/** Accounts with user IDs below 1000 that Debian, Fedora, Alpine and the BSDs bring, and names that clouds give to administrators. */
const systemAccounts: ReadonlySet<string> = new Set(
  (
    '_apt _chrony abrt adm admin administrator amanda apache arpwatch avahi azureuser backup bin centos chrony cockpit-ws core cups ' +
    'daemon dbus debian debian-exim dhcpcd dnsmasq docker ec2-user fedora ftp games git gnats halt http irc kmem kvm libvirt-qemu list ' +
    'lp mail mailnull man messagebus mysql named news nginx nobody nogroup ntp opc operator pcap polkitd postfix postgres proxy redis ' +
    'rocky root rpc rpcuser rtkit shutdown smmsp squid sshd sssd staff statd sudo sync sys systemd-coredump systemd-network ' +
    'systemd-resolve systemd-timesync tcpdump tomcat toor tss tty ubuntu unbound uucp uuidd vagrant wheel www www-data'
  ).split(' '),
);

const anyPerson: NamePattern = { text: '*', matches: (name) => !systemAccounts.has(name.toLowerCase()) };

/** Undefined for text that is no pattern. */
export function parseUserPattern(text: string): NamePattern | undefined {
  return text === '*' ? anyPerson : parseNamePattern(text);
}
