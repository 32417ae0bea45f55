/**
 * Servers that mean a dialling CA no good, or are no SSH servers at all: each is what it does to one connection, for
 * `startTcpServer`. None of them gets as far as a key exchange; `key-servers.ts` has those that do.
 */
import type { Socket } from 'node:net';

type Attacker = (socket: Socket) => void;

export const VERSION_LINE = 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n';

/** Takes the connection and never says a word. */
export const silent: Attacker = (socket) => void socket.resume();

/** Says that it speaks SSH, and nothing more. */
export const silentAfterVersion: Attacker = (socket) => {
  socket.resume().write(VERSION_LINE);
};

export const closesAtOnce: Attacker = (socket) => void socket.resume().end();

export const closesAfterVersion: Attacker = (socket) => void socket.resume().end(VERSION_LINE);

export const resets: Attacker = (socket) => void socket.resetAndDestroy();

/** As an old sshd would. */
export const speaksSsh1: Attacker = (socket) => void socket.resume().write('SSH-1.5-1.2.27\r\n');

/** A web server: answers the version line as a bad request. */
export const speaksHttp: Attacker = (socket) => {
  socket.once('data', () => {
    socket.end(
      'HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>SSH-2.0-no</html>\r\n',
    );
  });
};

/** Bytes with no meaning, a line end among them, and the end. */
export const sendsGarbage: Attacker = (socket) => {
  socket.resume().end(Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 73 + 29) % 256)));
};

/** A version line that is not one, with bytes that a log should never see. */
export const garblesVersion: Attacker = (socket) => {
  socket.resume().write('SSH-2.0-\u001b[31mroot\u0007\r\n');
};

/** One byte of `text` in each period, without end. */
export function tarpit(periodMilliseconds: number, text: string): Attacker {
  return (socket) => {
    let next = 0;
    const timer = setInterval(() => {
      socket.write(text.charAt(next % text.length));
      next += 1;
    }, periodMilliseconds);
    socket.resume().on('close', () => clearInterval(timer));
  };
}

/** Sends the start once, then the rest over and over as fast as it is taken. */
export function flood(start: string | Uint8Array, rest: string | Uint8Array): Attacker {
  return (socket) => {
    const chunk = Buffer.concat(Array.from({ length: 100 }, () => Buffer.from(rest)));
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.resume().on('drain', more).write(start);
    more();
  };
}

/** Greets for ever, as `banner` lines before the version line that never comes. */
export const floodsBannerLines = flood('', 'Unauthorised access is prohibited.\r\n');
/** One line without an end. */
export const floodsOneLine = flood('', 'A');
export const floodsVersionLine = flood('SSH-2.0-', 'A');

/** SSH_MSG_IGNORE is legal at any time (RFC 4253 section 11.2), unless both sides agreed on strict key exchange. */
export const floodsIgnore = flood(VERSION_LINE, packet(Buffer.concat([Buffer.of(2), string('x'.repeat(200))])));

/** Starts the exchange over before it is through with the first. */
export const sendsKexinitTwice: Attacker = (socket) => {
  const twice = [packet(kexinit(['ssh-ed25519'])), packet(kexinit(['ssh-ed25519']))];
  socket.resume().write(Buffer.concat([Buffer.from(VERSION_LINE), ...twice]));
};

/** Announces a packet of 2 GiB. */
export const announcesHugePacket: Attacker = (socket) => {
  socket.resume().write(Buffer.concat([Buffer.from(VERSION_LINE), Buffer.from([0x7f, 0xff, 0xff, 0xff, 4])]));
};

/** Sends a KEXINIT with other host key algorithms than a dial-back asks for, and waits. */
export const hasOnlyOldKeys: Attacker = (socket) => {
  socket
    .resume()
    .write(
      Buffer.concat([
        Buffer.from(VERSION_LINE),
        packet(kexinit(['ssh-rsa', 'ssh-dss', 'ssh-ed25519-cert-v01@openssh.com'])),
      ]),
    );
};

/** SSH_MSG_NEWKEYS out of turn. */
export const skipsTheExchange: Attacker = (socket) => {
  socket.resume().write(Buffer.concat([Buffer.from(VERSION_LINE), packet(Buffer.of(21))]));
};

/** SSH_MSG_DISCONNECT with a text that must not travel on. */
export const disconnectsRudely: Attacker = (socket) => {
  const message = Buffer.concat([Buffer.of(1, 0, 0, 0, 2), string('<script>ECHO-ME</script>'), string('')]);
  socket.resume().end(Buffer.concat([Buffer.from(VERSION_LINE), packet(message)]));
};

/** RFC 4253 section 6, unencrypted: length, padding length, payload, padding to a multiple of 8. */
export function packet(payload: Uint8Array): Buffer {
  const gap = 8 - ((5 + payload.length) % 8);
  const padding = gap < 4 ? gap + 8 : gap;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(1 + payload.length + padding);
  head.writeUInt8(padding, 4);
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}

export function kexinit(hostKeyAlgorithms: readonly string[]): Buffer {
  const both = (list: string): Buffer[] => [string(list), string(list)];
  return Buffer.concat([
    Buffer.of(20),
    Buffer.alloc(16, 7),
    string('curve25519-sha256'),
    string(hostKeyAlgorithms.join(',')),
    ...both('aes128-gcm@openssh.com'),
    ...both('hmac-sha2-256'),
    ...both('none'),
    ...both(''),
    Buffer.alloc(5),
  ]);
}

function string(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}
