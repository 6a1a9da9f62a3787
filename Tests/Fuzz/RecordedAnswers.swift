// SPDX-License-Identifier: Apache-2.0
// What real servers have answered, as inputs to begin with: Redis 7.0, 6.2 and 8.2 and Valkey 9.1
// about the streams a and b with groups, consumers and pending entries. Lines end with CR LF there.

let recordedAnswers = [
    // r7 streams
    "*20\n$6\nlength\n:3\n$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\n"
        + "last-generated-id\n$3\n3-1\n$20\nmax-deleted-entry-id\n$3\n0-0\n$13\nentries-added\n"
        + ":3\n$23\nrecorded-first-entry-id\n$3\n1-1\n$6\ngroups\n:2\n$11\nfirst-entry\n*2\n"
        + "$3\n1-1\n*2\n$1\nf\n$2\nv1\n$10\nlast-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*20\n"
        + "$6\nlength\n:2\n$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\n"
        + "last-generated-id\n$3\n3-1\n$20\nmax-deleted-entry-id\n$3\n2-1\n$13\nentries-added\n"
        + ":3\n$23\nrecorded-first-entry-id\n$3\n1-1\n$6\ngroups\n:1\n$11\nfirst-entry\n*2\n"
        + "$3\n1-1\n*2\n$1\nf\n$2\nv1\n$10\nlast-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n:8117\n"
        + ":5825\n",
    // r7 groups
    "*2\n*12\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n$7\npending\n:2\n$17\n"
        + "last-delivered-id\n$3\n2-1\n$12\nentries-read\n:2\n$3\nlag\n:1\n*12\n$4\nname\n$1\n"
        + "h\n$9\nconsumers\n:0\n$7\npending\n:0\n$17\nlast-delivered-id\n$3\n3-1\n$12\n"
        + "entries-read\n$-1\n$3\nlag\n:0\n*1\n*12\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n$7\n"
        + "pending\n:1\n$17\nlast-delivered-id\n$3\n1-1\n$12\nentries-read\n:1\n$3\nlag\n$-1\n"
        + "*1\n*4\n$3\n1-1\n$1\nc\n:927\n:1\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*1\n*2\n$3\n"
        + "3-1\n*2\n$1\nf\n$2\nv3\n*1\n*4\n$3\n1-1\n$1\nd\n:1380\n:1\n*1\n*2\n$3\n3-1\n*2\n$1\n"
        + "f\n$2\nv3\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n",
    // r7 consumers
    "*1\n*6\n$4\nname\n$1\nc\n$7\npending\n:2\n$4\nidle\n:1837\n*1\n*6\n$4\nname\n$1\nd\n"
        + "$7\npending\n:1\n$4\nidle\n:1988\n",
    // r7 pending
    "*2\n*4\n$3\n1-1\n$1\nc\n:2142\n:1\n*4\n$3\n2-1\n$1\nc\n:2142\n:1\n",
    // r6 streams
    "*14\n$6\nlength\n:3\n$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\n"
        + "last-generated-id\n$3\n3-1\n$6\ngroups\n:2\n$11\nfirst-entry\n*2\n$3\n1-1\n*2\n$1\n"
        + "f\n$2\nv1\n$10\nlast-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*14\n$6\nlength\n:2\n"
        + "$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\nlast-generated-id\n$3\n"
        + "3-1\n$6\ngroups\n:1\n$11\nfirst-entry\n*2\n$3\n1-1\n*2\n$1\nf\n$2\nv1\n$10\n"
        + "last-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n:8085\n:5801\n",
    // r6 groups
    "*2\n*8\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n$7\npending\n:2\n$17\n"
        + "last-delivered-id\n$3\n2-1\n*8\n$4\nname\n$1\nh\n$9\nconsumers\n:0\n$7\npending\n"
        + ":0\n$17\nlast-delivered-id\n$3\n3-1\n*1\n*8\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n"
        + "$7\npending\n:1\n$17\nlast-delivered-id\n$3\n1-1\n*1\n*4\n$3\n1-1\n$1\nc\n:912\n:1\n"
        + "*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*1\n*4\n$3\n"
        + "1-1\n$1\nd\n:1363\n:1\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*1\n*2\n$3\n3-1\n*2\n$1\n"
        + "f\n$2\nv3\n",
    // r6 consumers
    "*1\n*6\n$4\nname\n$1\nc\n$7\npending\n:2\n$4\nidle\n:1821\n*1\n*6\n$4\nname\n$1\nd\n"
        + "$7\npending\n:1\n$4\nidle\n:1968\n",
    // r6 pending
    "*2\n*4\n$3\n1-1\n$1\nc\n:2123\n:1\n*4\n$3\n2-1\n$1\nc\n:2123\n:1\n",
    // r8 streams
    "*20\n$6\nlength\n:3\n$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\n"
        + "last-generated-id\n$3\n3-1\n$20\nmax-deleted-entry-id\n$3\n0-0\n$13\nentries-added\n"
        + ":3\n$23\nrecorded-first-entry-id\n$3\n1-1\n$6\ngroups\n:2\n$11\nfirst-entry\n*2\n"
        + "$3\n1-1\n*2\n$1\nf\n$2\nv1\n$10\nlast-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*20\n"
        + "$6\nlength\n:2\n$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\n"
        + "last-generated-id\n$3\n3-1\n$20\nmax-deleted-entry-id\n$3\n2-1\n$13\nentries-added\n"
        + ":3\n$23\nrecorded-first-entry-id\n$3\n1-1\n$6\ngroups\n:1\n$11\nfirst-entry\n*2\n"
        + "$3\n1-1\n*2\n$1\nf\n$2\nv1\n$10\nlast-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n:8149\n"
        + ":5849\n",
    // r8 groups
    "*2\n*12\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n$7\npending\n:2\n$17\n"
        + "last-delivered-id\n$3\n2-1\n$12\nentries-read\n:2\n$3\nlag\n:1\n*12\n$4\nname\n$1\n"
        + "h\n$9\nconsumers\n:0\n$7\npending\n:0\n$17\nlast-delivered-id\n$3\n3-1\n$12\n"
        + "entries-read\n$-1\n$3\nlag\n:0\n*1\n*12\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n$7\n"
        + "pending\n:1\n$17\nlast-delivered-id\n$3\n1-1\n$12\nentries-read\n:1\n$3\nlag\n$-1\n"
        + "*1\n*4\n$3\n1-1\n$1\nc\n:910\n:1\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*1\n*2\n$3\n"
        + "3-1\n*2\n$1\nf\n$2\nv3\n*1\n*4\n$3\n1-1\n$1\nd\n:1362\n:1\n*1\n*2\n$3\n3-1\n*2\n$1\n"
        + "f\n$2\nv3\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n",
    // r8 consumers
    "*1\n*8\n$4\nname\n$1\nc\n$7\npending\n:2\n$4\nidle\n:1817\n$8\ninactive\n:1817\n*1\n"
        + "*8\n$4\nname\n$1\nd\n$7\npending\n:1\n$4\nidle\n:1966\n$8\ninactive\n:1966\n",
    // r8 pending
    "*2\n*4\n$3\n1-1\n$1\nc\n:2119\n:1\n*4\n$3\n2-1\n$1\nc\n:2119\n:1\n",
    // v9 streams
    "*20\n$6\nlength\n:3\n$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\n"
        + "last-generated-id\n$3\n3-1\n$20\nmax-deleted-entry-id\n$3\n0-0\n$13\nentries-added\n"
        + ":3\n$23\nrecorded-first-entry-id\n$3\n1-1\n$6\ngroups\n:2\n$11\nfirst-entry\n*2\n"
        + "$3\n1-1\n*2\n$1\nf\n$2\nv1\n$10\nlast-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*20\n"
        + "$6\nlength\n:2\n$15\nradix-tree-keys\n:1\n$16\nradix-tree-nodes\n:2\n$17\n"
        + "last-generated-id\n$3\n3-1\n$20\nmax-deleted-entry-id\n$3\n2-1\n$13\nentries-added\n"
        + ":3\n$23\nrecorded-first-entry-id\n$3\n1-1\n$6\ngroups\n:1\n$11\nfirst-entry\n*2\n"
        + "$3\n1-1\n*2\n$1\nf\n$2\nv1\n$10\nlast-entry\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n:4905\n"
        + ":4617\n",
    // v9 groups
    "*2\n*12\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n$7\npending\n:2\n$17\n"
        + "last-delivered-id\n$3\n2-1\n$12\nentries-read\n:2\n$3\nlag\n:1\n*12\n$4\nname\n$1\n"
        + "h\n$9\nconsumers\n:0\n$7\npending\n:0\n$17\nlast-delivered-id\n$3\n3-1\n$12\n"
        + "entries-read\n$-1\n$3\nlag\n:0\n*1\n*12\n$4\nname\n$1\ng\n$9\nconsumers\n:1\n$7\n"
        + "pending\n:1\n$17\nlast-delivered-id\n$3\n1-1\n$12\nentries-read\n:1\n$3\nlag\n$-1\n"
        + "*1\n*4\n$3\n1-1\n$1\nc\n:918\n:1\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n*1\n*2\n$3\n"
        + "3-1\n*2\n$1\nf\n$2\nv3\n*1\n*4\n$3\n1-1\n$1\nd\n:1375\n:1\n*1\n*2\n$3\n3-1\n*2\n$1\n"
        + "f\n$2\nv3\n*1\n*2\n$3\n3-1\n*2\n$1\nf\n$2\nv3\n",
    // v9 consumers
    "*1\n*8\n$4\nname\n$1\nc\n$7\npending\n:2\n$4\nidle\n:1827\n$8\ninactive\n:1827\n*1\n"
        + "*8\n$4\nname\n$1\nd\n$7\npending\n:1\n$4\nidle\n:1979\n$8\ninactive\n:1979\n",
    // v9 pending
    "*2\n*4\n$3\n1-1\n$1\nc\n:2130\n:1\n*4\n$3\n2-1\n$1\nc\n:2130\n:1\n",
]
