/**
 * The agent as a service of the user's session: a systemd user unit (systemd.service(5)) and a launchd agent
 * (launchd.plist(5)). Texts only; kept here and not as files, so that the single executable carries them.
 * Refused on purpose: program paths with characters that either format would read as its own.
 */

/** Program and leading arguments that start `countersign`. */
export type ProgramWords = readonly [string, ...string[]];

export const SYSTEMD_UNIT_NAME = 'countersign-agent.service';
export const LAUNCHD_LABEL = 'internal.countersign.agent';

/** @throws TypeError for a word that holds quotes, backslashes, `%`, `$` or control characters */
export function systemdUnit(program: ProgramWords): string {
  const words = [...program, 'agent', '-D'].map((word) => `"${checked(word)}"`);
  return `[Unit]
Description=Countersign: ssh-agent with certificates
Documentation=https://www.rfc-editor.org/info/rfc9987

[Service]
ExecStart=${words.join(' ')}
Restart=on-failure
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
# Keys must not reach the disk through the swap, where the system can tell.
MemorySwapMax=0

[Install]
WantedBy=default.target
`;
}

/** @throws TypeError as `systemdUnit` */
export function launchdPlist(program: ProgramWords): string {
  const words = [...program, 'agent', '-D'].map((word) => `    <string>${escapeXml(checked(word))}</string>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LAUNCHD_LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>Umask</key>
  <integer>63</integer>
  <key>HardResourceLimits</key>
  <dict>
    <key>Core</key>
    <integer>0</integer>
  </dict>
</dict>
</plist>
`;
}

function checked(word: string): string {
  if (word === '' || /["'\\%$\p{Cc}]/u.test(word))
    throw new TypeError('a program path that a service file cannot hold');
  return word;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
