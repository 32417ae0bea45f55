/** What is wrong with a device, for the person at the command line. */
import { CommandError } from '../../command-error.ts';
import { SignerError } from '../../signer/signer.ts';
import { isHsmError } from '../errors.ts';

/** Runs the work; what is wrong with a device becomes a sentence for people. */
export async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isHsmError(error) || error instanceof SignerError)
      throw new CommandError(`${error.message}.`, { cause: error });
    throw error;
  }
}
