/**
 * The version of Countersign: the one of package.json, which every program prints and the CA's `/version` answers.
 *
 * From the sources it is read out of package.json at import; the bundler puts the same file into the executables.
 */
import manifest from '../package.json' with { type: 'json' };

/** Semantic version, without a leading `v`. */
export const version: string = manifest.version;
