import { storeContract } from '../contract/store.ts';
import { makeSqliteHome } from './store-sqlite-home.ts';

storeContract('SQLite', makeSqliteHome);
