/** A SoftHSM2 token of a test with one key pair of each kind; its label is the kind. Debian: softhsm2. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadPkcs11 } from '#ca-lite/pkcs11/addon.ts';

export const softhsmModule = '/usr/lib/softhsm/libsofthsm2.so';
export const softhsmPin = '12345678';

const curveOf: Readonly<Record<string, string>> = {
  ecp256: '06082a8648ce3d030107',
  ecp384: '06052b81040022',
  ecp521: '06052b81040023',
  ed25519: '130c656477617264733235353139',
};

/**
 * Makes the token `ca` below `directory`, in `tokens/`, and the file `softhsm2.conf`, which SOFTHSM2_CONF of this process then names.
 * @param mayNotSign kinds whose private key has CKA_SIGN false
 */
export function makeSofthsmToken(
  directory: string,
  kinds: readonly string[],
  mayNotSign: readonly string[] = [],
): void {
  const tokens = join(directory, 'tokens');
  mkdirSync(tokens, { recursive: true, mode: 0o700 });
  const config = join(directory, 'softhsm2.conf');
  writeFileSync(config, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  process.env['SOFTHSM2_CONF'] = config;
  const init = ['--init-token', '--free', '--label', 'ca', '--pin', softhsmPin, '--so-pin', '87654321'];
  execFileSync('softhsm2-util', init, { stdio: 'pipe' });
  const api = loadPkcs11();
  const p11 = new api.PKCS11();
  p11.load(softhsmModule);
  p11.C_Initialize();
  const slot = p11.C_GetSlotList(true).find((each) => p11.C_GetTokenInfo(each).label.trim() === 'ca')!;
  const session = p11.C_OpenSession(slot, api.CKF_SERIAL_SESSION | api.CKF_RW_SESSION);
  p11.C_Login(session, api.CKU_USER, softhsmPin);
  for (const [index, kind] of kinds.entries()) {
    const common = [
      { type: api.CKA_TOKEN, value: true },
      { type: api.CKA_LABEL, value: kind },
      { type: api.CKA_ID, value: Buffer.of(index + 1) },
    ];
    const curve = curveOf[kind];
    const parameters =
      curve === undefined
        ? [
            { type: api.CKA_MODULUS_BITS, value: Number(kind.slice(3)) },
            { type: api.CKA_PUBLIC_EXPONENT, value: Buffer.of(1, 0, 1) },
          ]
        : [{ type: api.CKA_EC_PARAMS, value: Buffer.from(curve, 'hex') }];
    const ofCurve = kind === 'ed25519' ? 0x1055 : api.CKM_EC_KEY_PAIR_GEN;
    const mechanism = curve === undefined ? api.CKM_RSA_PKCS_KEY_PAIR_GEN : ofCurve;
    const publicTemplate = [...common, ...parameters, { type: api.CKA_VERIFY, value: true }];
    const privateTemplate = [...common, { type: api.CKA_SIGN, value: !mayNotSign.includes(kind) }];
    p11.C_GenerateKeyPair(session, { mechanism }, publicTemplate, privateTemplate);
  }
  p11.C_Finalize();
  p11.close();
}
