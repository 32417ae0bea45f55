/** The programs that the demo and the tests start, and the Debian packages that have them. A plain table. */

export type Purpose = 'demo' | 'test';

export interface NeededProgram {
  /** Its name; with a slash: a file, relative to a directory of the PATH. */
  program: string;
  debianPackage: string;
  neededFor: readonly Purpose[];
}

export const neededPrograms: readonly NeededProgram[] = [
  { program: 'sshd', debianPackage: 'openssh-server', neededFor: ['demo', 'test'] },
  { program: 'ssh', debianPackage: 'openssh-client', neededFor: ['demo', 'test'] },
  { program: 'ssh-keygen', debianPackage: 'openssh-client', neededFor: ['demo', 'test'] },
  { program: 'openssl', debianPackage: 'openssl', neededFor: ['test'] },
  { program: 'puttygen', debianPackage: 'putty-tools', neededFor: ['test'] },
  { program: 'curl', debianPackage: 'curl', neededFor: ['test'] },
  { program: 'ip', debianPackage: 'iproute2', neededFor: ['test'] },
  { program: 'unshare', debianPackage: 'util-linux', neededFor: ['test'] },
  { program: 'nsenter', debianPackage: 'util-linux', neededFor: ['test'] },
  { program: 'setpriv', debianPackage: 'util-linux', neededFor: ['test'] },
  { program: 'strace', debianPackage: 'strace', neededFor: ['test'] },
  { program: 'dnsmasq', debianPackage: 'dnsmasq-base', neededFor: ['test'] },
  { program: 'ssh-agent', debianPackage: 'openssh-client', neededFor: ['test'] },
  { program: 'plink', debianPackage: 'putty-tools', neededFor: ['test'] },
  { program: 'git', debianPackage: 'git', neededFor: ['test'] },
  { program: 'make', debianPackage: 'make', neededFor: ['test'] },
  { program: 'systemd-analyze', debianPackage: 'systemd', neededFor: ['test'] },
  { program: 'systemd-nspawn', debianPackage: 'systemd-container', neededFor: ['test'] },
  { program: 'lintian', debianPackage: 'lintian', neededFor: ['test'] },
  { program: 'mandoc', debianPackage: 'mandoc', neededFor: ['test'] },
  { program: 'man', debianPackage: 'man-db', neededFor: ['test'] },
  { program: 'groff', debianPackage: 'groff-base', neededFor: ['test'] },
  { program: 'zsh', debianPackage: 'zsh', neededFor: ['test'] },
  { program: 'fish', debianPackage: 'fish', neededFor: ['test'] },
  { program: 'debootstrap', debianPackage: 'debootstrap', neededFor: ['test'] },
  { program: 'softhsm2-util', debianPackage: 'softhsm2', neededFor: ['test'] },
  { program: 'xxd', debianPackage: 'xxd', neededFor: ['test'] },
  { program: 'faketime', debianPackage: 'faketime', neededFor: ['test'] },
  { program: 'g++', debianPackage: 'g++', neededFor: ['test'] },
  { program: 'chromium', debianPackage: 'chromium', neededFor: ['test'] },
  { program: 'python3', debianPackage: 'python3', neededFor: ['test'] },
  { program: 'go', debianPackage: 'golang-go', neededFor: ['test'] },
  // the keychain of a desktop, and what its add-on is compiled with
  { program: 'gnome-keyring-daemon', debianPackage: 'gnome-keyring', neededFor: ['test'] },
  { program: 'dbus-daemon', debianPackage: 'dbus', neededFor: ['test'] },
  { program: 'dbus-send', debianPackage: 'dbus', neededFor: ['test'] },
  { program: 'pkg-config', debianPackage: 'pkg-config', neededFor: ['test'] },
  { program: '../include/libsecret-1/libsecret/secret.h', debianPackage: 'libsecret-1-dev', neededFor: ['test'] },
  // OpenSSH's own regression tests, which are in no directory of the PATH
  { program: '../lib/openssh/regress/run-tests', debianPackage: 'openssh-tests', neededFor: ['test'] },
];

/** Where Debian keeps programs for administrators, which the PATH of other users leaves out. */
export const administratorPath: readonly string[] = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * @param isThere says whether a program can be started
 * @returns the programs that are missing, and the packages to install, each once
 */
export function missingFor(purpose: Purpose, isThere: (program: string) => boolean) {
  const missing = neededPrograms
    .filter(({ neededFor }) => neededFor.includes(purpose))
    .filter((p) => !isThere(p.program));
  return {
    programs: missing.map(({ program }) => program),
    packages: [...new Set(missing.map(({ debianPackage }) => debianPackage))],
  };
}
