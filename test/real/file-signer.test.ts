/** The signer of the embedded default, for each kind of CA key that `init` makes. */
import { signerContract } from '#test/contract/signer.ts';
import { caKeyTypes } from '#ca-lite/init/ca-key-type.ts';
import { generateCaKey } from '#ca-lite/init/ca-keys.ts';
import { FileSigner } from '#ca-lite/signer/file-signer.ts';

for (const type of caKeyTypes) {
  signerContract(`file, ${type}`, async () => {
    const signer = new FileSigner(await generateCaKey(type));
    return { signer, [Symbol.asyncDispose]: () => signer[Symbol.asyncDispose]() };
  });
}
