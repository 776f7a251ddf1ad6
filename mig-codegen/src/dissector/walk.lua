local proto = Proto(name, "Mach messages of " .. name:sub(6))
proto.fields = fields
local damaged = ProtoExpert.new(name .. ".damaged", "The message is not as declared", expert.group.MALFORMED,
	expert.severity.WARN)
proto.experts = { damaged }

-- More elements of an array than these are not shown one by one.
local MOST = 256

-- `count` bits of a number, from the bit `low`.
local function bits(number, low, count)
	return math.floor(number / 2 ^ low) % 2 ^ count
end

-- What a type word says.
local function type_word(range)
	local first = range(0, 4):le_uint()
	if abi.words_of_8 then
		local flags = bits(first, 29, 3)
		return { name = bits(first, 0, 8), size = bits(first, 8, 16), number = range(4, 4):le_uint(), flags = flags }
	elseif range:len() == 12 then
		local kind = range(4, 4):le_uint()
		return { name = bits(kind, 0, 16), size = bits(kind, 16, 16), number = range(8, 4):le_uint(),
			flags = bits(first, 28, 4) }
	end
	return { name = bits(first, 0, 8), size = bits(first, 8, 8), number = bits(first, 16, 12),
		flags = bits(first, 28, 4) }
end

-- Shows the value of an argument or of a member: each element by itself, with its members, or all bytes as one.
local function show(tree, slot, range)
	local field, unit, size = fields[slot.arg], slot.unit, range:len()
	if not unit or size == 0 or size % unit ~= 0 then
		if not unit then tree:add_le(field, range) else tree:add(range, slot.arg .. ": " .. size .. " bytes") end
		return
	end
	for at = 0, math.min(size, MOST * unit) - unit, unit do
		local part = range(at, unit)
		local item = tree:add_le(field, part)
		for _, member in ipairs(slot.members or {}) do
			if member.size > 0 then show(item, member, part(member.offset, member.size)) end
		end
	end
	if size > MOST * unit then
		tree:add(range(MOST * unit), (size / unit - MOST) .. " more")
	end
end

-- Shows a descriptor of an untyped message: a right, or memory out of line. Returns how many elements it has.
local function show_descriptor(tree, slot, range)
	if slot.role == "port" then
		local item = tree:add_le(fields[slot.arg], range(0, 4))
		item:append_text(", disposition " .. range(10, 1):uint())
		return 1
	end
	local size = range(abi.pointer == 8 and 12 or 4, 4):le_uint()
	local what = slot.role == "ool" and " bytes" or " rights"
	local address = abi.pointer == 8 and range(0, 8):le_uint64() or range(0, 4):le_uint()
	tree:add(range, slot.arg .. ": " .. size .. what .. " out of line at " .. tostring(address))
	return slot.role == "ool" and math.floor(size / math.max(slot.element or 1, 1)) or size
end

-- How many bytes a slot has whose table does not say.
local function size_of(slot, at, word, counts)
	if slot.role == "pad" then
		return -at % abi.alignment
	elseif word then
		return math.ceil(word.number * word.size / 8)
	end
	return (counts[slot.count] or 0) * (slot.element or 1)
end

-- Follows the table of a message through its bytes.
local function walk(message, buffer, tree)
	local at, word, counts = abi.header, nil, {}
	for _, slot in ipairs(message.slots) do
		local offset = slot.offset or at
		local is_outside = slot.role == "data" and word and word.flags % 2 == 0
		local size = is_outside and abi.pointer or slot.size or size_of(slot, offset, word, counts)
		if offset + size > buffer:len() then
			tree:add_proto_expert_info(damaged, "The message ends in " .. (slot.arg or slot.role))
			return
		end
		at = offset + size
		local range = size > 0 and buffer(offset, size) or nil
		if not range or slot.role == "pad" then
			if slot.role == "data" then word = nil end
		elseif slot.role == "type" then
			word = type_word(range)
			local long = "type " .. word.name .. ", " .. word.number .. " of " .. word.size .. " bits"
			tree:add(range, long .. (word.flags % 2 == 0 and ", out of line" or ""))
		elseif slot.role == "data" then
			if is_outside then
				tree:add(range, slot.arg .. ": " .. word.number .. " elements out of line")
			else
				show(tree, slot, range)
			end
			word = nil
		elseif slot.role == "port" or slot.role == "ool" or slot.role == "ool_ports" then
			counts[slot.count] = show_descriptor(tree, slot, range)
		elseif slot.role == "count" then
			counts[slot.count] = range:le_uint()
			tree:add(range, slot.arg .. ": " .. range:le_uint() .. " elements")
		elseif slot.role == "retcode" then
			tree:add(range, "return code: " .. range:le_int())
			word = nil
		else
			tree:add(range, slot.role)
		end
	end
	if at < buffer:len() then
		tree:add_proto_expert_info(damaged, (buffer:len() - at) .. " bytes after the last argument")
	end
end

-- True for a message without rights and memory. The top byte of Mach 2.5's header is 1 in it; Mach 3's has
-- the complex bit in others.
local function is_simple(buffer)
	local top = buffer(3, 1):uint()
	if abi.says_simple then return top ~= 0 end
	return top < 128
end

-- True for a reply that says only why the routine failed.
local function is_only_a_code(message, buffer)
	return message.kind == "reply" and buffer:len() == abi.error_reply and is_simple(buffer)
		and buffer(abi.code, 4):le_int() ~= 0
end

function proto.dissector(buffer, pinfo, tree)
	local message = messages[buffer(abi.id, 4):le_uint()]
	if not message then return 0 end
	local title = message.routine .. " " .. message.kind
	pinfo.cols.protocol = name
	pinfo.cols.info = title
	local branch = tree:add(proto, buffer(), title)
	if is_only_a_code(message, buffer) then
		branch:add(buffer(abi.code, 4), "return code: " .. buffer(abi.code, 4):le_int())
	else
		walk(message, buffer, branch)
	end
	return buffer:len()
end

-- The table of all subsystems by the ids of their messages. The script that makes it reads the headers, too.
local made, ids = pcall(DissectorTable.get, "mach.id")
if not made or not ids then
	ids = DissectorTable.new("mach.id", "Mach message id", ftypes.UINT32, base.DEC)
	local mach = Proto("mach", "Mach message")
	local header = {
		bits = ProtoField.uint32("mach.bits", "msgh_bits", base.HEX),
		size = ProtoField.uint32("mach.size", "msgh_size"),
		remote = ProtoField.new("msgh_remote_port", "mach.remote", abi.port == 8 and ftypes.UINT64 or ftypes.UINT32,
			nil, base.HEX),
		local_port = ProtoField.new("msgh_local_port", "mach.local", abi.port == 8 and ftypes.UINT64 or ftypes.UINT32,
			nil, base.HEX),
		id = ProtoField.int32("mach.msgh_id", "msgh_id"),
	}
	mach.fields = header
	local cut = ProtoExpert.new("mach.cut", "The message is cut off", expert.group.MALFORMED, expert.severity.ERROR)
	mach.experts = { cut }
	function mach.dissector(buffer, pinfo, tree)
		pinfo.cols.protocol = "Mach"
		local branch = tree:add(mach, buffer())
		if buffer:len() < abi.header then
			branch:add_proto_expert_info(cut, buffer:len() .. " bytes are no header")
			return buffer:len()
		end
		branch:add_le(header.bits, buffer(0, 4))
		branch:add_le(header.size, buffer(4, 4))
		branch:add_le(header.remote, buffer(abi.remote, abi.port))
		branch:add_le(header.local_port, buffer(abi.local_port, abi.port))
		branch:add_le(header.id, buffer(abi.id, 4))
		local id, size = buffer(abi.id, 4):le_uint(), buffer(4, 4):le_uint()
		if size < abi.header or size > buffer:len() then
			branch:add_proto_expert_info(cut, "msgh_size is " .. size .. ", and there are " .. buffer:len() .. " bytes")
			return buffer:len()
		end
		-- A trailer may follow, which is no part of the message.
		if not ids:try(id, buffer(0, size):tvb(), pinfo, tree) then
			pinfo.cols.info = "message " .. buffer(abi.id, 4):le_int()
		end
		return buffer:len()
	end
	DissectorTable.get("wtap_encap"):add(wtap.USER0, mach)
end
for id in pairs(messages) do
	ids:add(id, proto)
end
