/** From C values to JavaScript ones, and libvirt's failures to LibvirtError. */
import koffi from 'koffi';
import { LibvirtError } from './error.ts';
import {
  type CLong,
  type DomainPtr,
  type ErrorStruct,
  libc,
  type Pointer,
  structs,
  type TypedParameterStruct,
  vir,
} from './ffi.ts';

/** A value of a virTypedParameter; 64-bit ones lose precision above 2^53. */
export type ParamValue = number | string | boolean;
export type Params = Readonly<Record<string, ParamValue>>;

/**
 * The failure of the call just made on this thread. Must be read before any other libvirt call: cleaning up resets
 * it, and it is kept per thread.
 */
export function lastError(call: string): LibvirtError {
  const pointer = vir.getLastError();
  if (pointer === null) {
    return new LibvirtError({
      kind: 'libvirt',
      code: 1,
      domain: 0,
      level: 2,
      message: `${call} failed and libvirt gave no reason`,
    });
  }
  const error: ErrorStruct = koffi.decode(pointer, structs.error);
  return new LibvirtError({
    kind: 'libvirt',
    code: error.code,
    domain: error.domain,
    level: error.level,
    message: error.message ?? `${call} failed with error ${error.code}`,
  });
}

/** Throws unless `result` is libvirt's "fine" (not negative). */
export function checked(call: string, result: number): number {
  if (result < 0) {
    throw lastError(call);
  }
  return result;
}

/** Throws when libvirt returned NULL. */
export function present<T>(call: string, pointer: T | null): T {
  if (pointer === null) {
    throw lastError(call);
  }
  return pointer;
}

/** A string that libvirt allocated for the caller: copied, then freed. */
export function takeString(call: string, pointer: Pointer | null): string {
  const string = present(call, pointer);
  try {
    return koffi.decode.string(string);
  } finally {
    libc.free(string);
  }
}

export function domainUuid(domain: DomainPtr): string {
  const buffer = new Uint8Array(37);
  checked('virDomainGetUUIDString', vir.domainUuid(domain, buffer));
  return Buffer.from(buffer.buffer, 0, 36).toString('latin1');
}

export function toNumber(value: CLong): number {
  return Number(value);
}

function paramValue(type: number, value: Uint8Array): ParamValue | undefined {
  const view = new DataView(value.buffer, value.byteOffset, 8);
  switch (type) {
    case 1:
      return view.getInt32(0, true);
    case 2:
      return view.getUint32(0, true);
    case 3:
      return Number(view.getBigInt64(0, true));
    case 4:
      return Number(view.getBigUint64(0, true));
    case 5:
      return view.getFloat64(0, true);
    case 6:
      return view.getUint8(0) !== 0;
    case 7: {
      const text = view.getBigUint64(0, true);
      return text === 0n ? undefined : koffi.decode.string(text);
    }
    default:
      return undefined;
  }
}

/** Copies virTypedParameters; whoever got them from libvirt still frees them. */
export function decodeParams(pointer: Pointer | null, count: number): Params {
  const result: Record<string, ParamValue> = {};
  if (pointer === null || count === 0) {
    return result;
  }
  const params: readonly TypedParameterStruct[] = koffi.decode(pointer, structs.typedParameter, count);
  for (const { field, type, value } of params) {
    const decoded = paramValue(type, value);
    if (decoded !== undefined) {
      result[field] = decoded;
    }
  }
  return result;
}

/** Elements of a C array of pointers. */
export function decodePointers<T extends Pointer>(pointer: Pointer | null, count: number): readonly T[] {
  return pointer === null || count <= 0 ? [] : koffi.decode(pointer, 'void *', count);
}
