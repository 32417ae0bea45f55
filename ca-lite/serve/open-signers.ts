/** The two SSH CA keys of the configuration, wherever they live: encrypted files, a YubiHSM, or a PKCS#11 token. */
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { CertificateType } from '#openssh/certificate.ts';
import type { CaLayout, SecretName } from '../directory/layout.ts';
import { readSecret } from '../directory/secrets.ts';
import type { CaSigners } from '../issue/issuer.ts';
import { FileSigner } from '../signer/file-signer.ts';
import type { DeviceLogSink } from '../yubihsm/audit-drain.ts';
import type { HsmEvent } from '../yubihsm/hsm-event.ts';

export interface SignerOptions {
  readonly layout: CaLayout;
  readonly settings: Config['signer'];
  readonly passphrase: Uint8Array;
  /** Of encrypted files: which of them sign. */
  readonly secrets: Readonly<Record<CertificateType, SecretName>>;
  /** Where the audit log of a device goes. */
  readonly sink: DeviceLogSink;
  /** Epoch seconds. */
  readonly now: () => bigint;
  readonly log: Logger;
}

/** What is opened is closed by `stack`. Devices are loaded only when they are configured. @throws SecretError, HsmError */
export async function openSigners(options: SignerOptions, stack: AsyncDisposableStack): Promise<CaSigners> {
  const { layout, settings, passphrase, sink, now, log } = options;
  if (settings.type === 'file') {
    const host = stack.use(new FileSigner(await readSecret(layout, options.secrets.host, passphrase)));
    const user = stack.use(new FileSigner(await readSecret(layout, options.secrets.user, passphrase)));
    return { host, user };
  }
  const { directory } = layout;
  if (settings.type === 'pkcs11') {
    const { openPkcs11Signers } = await import('../pkcs11/signer-settings.ts');
    return stack.use(await openPkcs11Signers(settings, { directory }));
  }
  const { openYubiHsmSigners } = await import('../yubihsm/signer-settings.ts');
  const report = (event: HsmEvent): void => tell(event, log);
  return stack.use(await openYubiHsmSigners(settings, { directory, sink, report, nowSeconds: () => Number(now()) }));
}

function tell(event: HsmEvent, log: Logger): void {
  switch (event.kind) {
    case 'device-ready':
      return log.info({ device: event.device, firmware: event.info.firmware.join('.') }, 'the HSM is ready');
    case 'log-drained':
      return log.debug({ device: event.device, entries: event.entries }, 'the audit log of the HSM was read');
    case 'warning':
      return log.warn({ device: event.device }, event.warning);
    case 'device-lost':
    case 'log-alarm':
      return log.error({ device: event.device, err: event.error }, `HSM: ${event.kind}`);
  }
}
