/** Failures on the host: its sshd, keys, names and files. */
import { Failure } from '../failure.ts';

export type HostErrorCode =
  | 'sshd-not-found' // no sshd program
  | 'sshd-config-unreadable' // sshd -T fails, or its configuration cannot be read
  | 'sshd-not-answering' // nothing that speaks SSH answers where sshd should
  | 'no-host-key' // sshd has no key that could be enrolled
  | 'key-unusable' // a host key cannot be read or cannot sign
  | 'key-not-served' // sshd answers with another key
  | 'certificates-disabled' // HostKeyAlgorithms leaves certificates out
  | 'foreign-certificate' // sshd has another CA's certificate for the key
  | 'name-unknown' // this machine does not know its own full name
  | 'name-elsewhere' // DNS has other addresses for a name than this machine
  | 'address-unknown'
  | 'not-writable' // a directory where files have to go cannot be written to
  | 'files-changed' // somebody changed what we wrote
  | 'sshd-config-rejected' // sshd -t does not accept the new configuration
  | 'reload-failed'
  | 'certificate-not-served' // sshd took the configuration and still does not show the certificate
  | 'change-failed' // writing failed in the middle; everything was put back
  | 'roll-back-failed' // and putting back failed too: a person has to look
  | 'other-sshd'; // the state directory belongs to the enrolment of another sshd

export class HostError extends Failure<HostErrorCode> {
  override readonly name = 'HostError';
}
