/** Signs with each key that it is told of through the YubiHSM's own PKCS#11 module; prints a line for each. Arguments: labels. */
import { tokenSigner } from '#ca-lite/pkcs11/signer.ts';
import { Token } from '#ca-lite/pkcs11/token.ts';

const module = '/usr/lib/x86_64-linux-gnu/pkcs11/yubihsm_pkcs11.so';
await using token = new Token({ module, label: 'YubiHSM', pin: '0001password' });
for (const label of process.argv.slice(2)) {
  const signer = tokenSigner(token, { label });
  const { blob } = await signer.sign(new Uint8Array(600), { priority: 'user' });
  process.stdout.write(`${label} ${signer.algorithm} ${blob.length}\n`);
}
